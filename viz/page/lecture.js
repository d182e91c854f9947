// Lectures: one view fills the screen, and arrow keys go through the views, a tour or a playlist of links.

// lecture mode: one view fills the screen; arrow keys go through the tour or the views of the lens
const lecture = box => {
  const before = document.querySelector(".view.lecture");
  if (box === before) box = undefined;
  for (const one of [before, box]) {
    if (!one) continue;
    const shown = one === box;
    one.classList.toggle("lecture", shown);
    if (shown) one.setAttribute("role", "dialog");
    else one.removeAttribute("role");
    one.ariaModal = shown ? "true" : null;
    const [textContent, name] = shown ? ["Close (Esc)", "Close (Esc)"] : ["⤢", "Enlarge"];
    Object.assign(one.querySelector("[data-do=large]"), {textContent, ariaLabel: name, title: name});
  }
  document.body.classList.toggle("lecturing", Boolean(box));
  const others = ["tour", "status"].map(id => document.getElementById(id)); // picture and answer are visible, but inert
  only(...(box ? [box, ...others, meaning] : []));
  if (!box) played = [];
  if (box && !before) document.documentElement.requestFullscreen?.().catch(() => {});
  if (!box && document.fullscreenElement) document.exitFullscreen();
  for (const one of [before, box]) one?.dispatchEvent(new Event("resized"));
  (box ?? before)?.querySelector("[data-do=large]")?.focus({preventScroll: Boolean(box)});
};
document.addEventListener("fullscreenchange", () => {
  if (!document.fullscreenElement && document.querySelector(".view.lecture")) lecture();
});
document.addEventListener("keydown", event => {
  const here = document.querySelector(".view.lecture:not(:has(.take :popover-open))");
  if (here && event.key === "Escape") return lecture();
  if (!here || event.target.closest("input, select")) return;
  const step = {ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1}[event.key];
  if (!step) return;
  event.preventDefault();
  if (played.length) return playAt(played.at + step);
  if (document.querySelector("#tour .on")) return document.querySelector(`#tour [data-step=${step > 0 ? "next" : "back"}]`)?.click();
  const views = [...document.querySelectorAll(".lens.open .view")];
  const next = views[views.indexOf(here) + step];
  if (next) lecture(next);
});

// a playlist: links, one per line; arrow keys go through them in a lecture
const PLAYLIST = "mixer playlist";
let played = [];
const playAt = at => {
  if (!played[at]) return;
  played.at = at;
  send({link: fromAddress(new URL(played[at], location.href)), listed: true});
};
const playlist = form => {
  const area = form.querySelector("textarea");
  try { area.value = localStorage[PLAYLIST] ?? ""; } catch { /* there is no store */ }
  form.addEventListener("submit", event => {
    event.preventDefault();
    try { localStorage[PLAYLIST] = area.value; } catch { /* there is none, or it is full */ }
    form.hidePopover();
    lecture(document.querySelector(".lens.open .view"));
    played = area.value.split("\n").map(line => line.trim()).filter(Boolean);
    playAt(0);
  });
};

const fillScreen = id => { // with the view of a link, or the first view of its lens
  const view = (document.getElementById(id) ?? document.querySelector(".lens.open")).querySelector(".view");
  if (!view.classList.contains("lecture")) lecture(view);
};
