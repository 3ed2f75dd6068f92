"""The configuration files of the document that people set a registry up from, as they stand there."""

from pathlib import Path

import pytest
import yaml

from tests.kit.http import get
from tests.kit.services import ADMIN_PASSWORD, ROOT, running_services

pytestmark = pytest.mark.system

DOCUMENTS = Path(__file__).parent / "documents"
REGISTRY, WEB = DOCUMENTS / "registry.yml", DOCUMENTS / "registry-web.yml"


def test_documents_files_start_both_services(tmp_path):
    """Only what a test may not use is overridden: ports and paths; the token that one issues opens the other."""
    with running_services(tmp_path, registry_config=REGISTRY, web_config=WEB) as pair:
        refused = get(f"{pair.registry_url}/v2/")
        assert refused.status == 401
        challenge = f'Bearer realm="{pair.console_url}/api/auth",service="registry:5000"'
        assert refused.headers["WWW-Authenticate"].startswith(challenge)
        token = get(
            f"{pair.console_url}/api/auth?service=registry:5000&account=admin", login=("admin", ADMIN_PASSWORD)
        ).json["token"]
        assert get(f"{pair.registry_url}/v2/", token=token).status == 200


def test_our_registry_file_differs_only_where_compose_needs_it():
    ours, documents = (yaml.safe_load(path.read_text()) for path in (ROOT / "conf/registry/config.yml", REGISTRY))
    endpoint = ours["notifications"]["endpoints"][0]
    assert endpoint.pop("tokenfile") == "/etc/docker/registry/notification.token"
    assert endpoint.pop("ignoredmediatypes") == ["application/octet-stream"]
    assert endpoint.pop("url") == "http://registry-web:8080/api/notification"
    assert documents["notifications"]["endpoints"][0].pop("url") == "http://localhost:8090/api/notification"
    assert ours == documents


def test_our_web_file_differs_only_by_the_notification_secret():
    ours, documents = (yaml.safe_load(path.read_text()) for path in (ROOT / "conf/registry-web/config.yml", WEB))
    assert ours.pop("notifications") == {"tokenfile": "/conf/notification.token"}
    assert ours == documents
