// What makes the console more comfortable. Every page works without it.
"use strict";

async function copyText(text) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement("textarea"); // plain HTTP on an intranet has no clipboard interface
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

function showCopyButtons(root) {
  for (const button of root.querySelectorAll("button.copy")) button.hidden = false;
}

async function copied(button) {
  const before = button.innerHTML;
  await copyText(button.dataset.copy);
  button.textContent = button.dataset.done;
  setTimeout(() => { button.innerHTML = before; }, 1500);
}

async function openDialog(link) {
  const response = await fetch(link.href, { credentials: "same-origin" });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const body = page.querySelector("[data-dialog-body]");
  if (!response.ok || response.redirected || !body) {
    location.assign(link.href);
    return;
  }
  const dialog = document.createElement("dialog");
  dialog.append(document.adoptNode(body));
  dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
  document.body.append(dialog);
  dialog.showModal();
}

async function load(place) {
  const address = place.dataset.load;
  delete place.dataset.load; // once
  const response = await fetch(address, { credentials: "same-origin" });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const part = page.querySelector("[data-part]");
  if (!response.ok || !part) return; // the link stays
  place.replaceChildren(...document.adoptNode(part).childNodes);
  showCopyButtons(place);
}

document.addEventListener("toggle", (event) => {
  const place = event.target.open && event.target.querySelector("[data-load]");
  if (place) load(place).catch(() => {}); // the link stays
}, true);

document.addEventListener("click", (event) => {
  const target = event.target.closest("button.copy, a[data-dialog], dialog [data-cancel]");
  if (!target || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (target.matches("button.copy")) {
    copied(target);
    return;
  }
  event.preventDefault();
  if (target.matches("[data-cancel]")) target.closest("dialog").close();
  else openDialog(target).catch(() => location.assign(target.href));
});

showCopyButtons(document);
