"""What both services must agree on; it imports neither of them."""
