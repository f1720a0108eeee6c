// Refreshes the visible content and keeps the selection. Every link and form works without this script, too.

const banner = document.getElementById("no-answer");
const selected = () => [...document.querySelectorAll("#live input[name=id]:checked")].map((box) => box.value);
let shown = document.getElementById("live")?.outerHTML;

function count() {
  const ids = selected();
  const boxes = document.querySelectorAll("#live input[name=id]");
  for (const button of document.querySelectorAll("[data-selected]")) {
    button.disabled = ids.length === 0;
    button.querySelector("[data-count]").textContent = ids.length ? `(${ids.length})` : "";
  }
  for (const all of document.querySelectorAll("[data-all]")) {
    all.checked = ids.length > 0 && ids.length === boxes.length;
    all.indeterminate = ids.length > 0 && ids.length < boxes.length;
  }
}

// Replaces an element; what was open, selected and focused in the old one stays so.
function replace(old, fresh) {
  const ids = new Set(selected());
  const open = [...old.querySelectorAll("details[open]")].map((details) => details.id);
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  old.replaceWith(fresh);
  for (const box of fresh.querySelectorAll("input[name=id]")) box.checked = ids.has(box.value);
  for (const id of open) {
    const details = document.getElementById(id);
    if (details) details.open = true;
  }
  if (focused) {
    const same = [...fresh.querySelectorAll(focused.tagName)].find(
      (each) => ["id", "name", "value", "href"].every((name) => each[name] === focused[name]),
    );
    same?.focus({ preventScroll: true });
  }
  count();
}

async function refresh() {
  const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(15000) });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (page.querySelector("[data-signed-out]")) {
    location.reload();
    return;
  }
  const old = document.getElementById("live");
  const fresh = page.getElementById("live");
  if (!fresh || fresh.outerHTML === shown) return;
  shown = fresh.outerHTML;
  replace(old, document.importNode(fresh, true));
}

async function keepRefreshing() {
  const live = document.getElementById("live");
  if (!live?.dataset.every) return;
  if (!document.hidden) {
    try {
      await refresh();
      banner.hidden = true;
    } catch {
      banner.hidden = false;
    }
  }
  const seconds = Number(document.getElementById("live").dataset.every || 3);
  setTimeout(keepRefreshing, seconds * 1000);
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) {
    for (const box of document.querySelectorAll("#live input[name=id]")) box.checked = event.target.checked;
  }
  count();
});
document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-once]")) event.target.querySelector("button").disabled = true;
});
// After a return to this page with the back button: enable its buttons again, and refresh its content.
addEventListener("pageshow", (event) => {
  for (const button of document.querySelectorAll("[data-once] button")) button.disabled = false;
  if (event.persisted) refresh().catch(() => { banner.hidden = false; });
});

count();
const every = Number(document.getElementById("live")?.dataset.every || 0);
if (every) setTimeout(keepRefreshing, every * 1000);
