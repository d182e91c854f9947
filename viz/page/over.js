// Elements over the page: menus, the drawer, the meaning of a term; and symbols of formulas with their pictures.

// menus and the drawer close with Escape and with a click on the page
const opened = () => document.querySelectorAll("details[data-menu][open] > summary, #drawer > .label-wrap.open");
document.addEventListener("pointerdown", event => {
  const page = event.target.closest("#lenses");
  for (const button of opened()) if (page && !button.parentElement.contains(event.target)) button.click();
});
document.addEventListener("keydown", event => {
  for (const button of event.key === "Escape" ? opened() : []) {
    button.click();
    button.focus();
  }
});

// place a menu below its button, or above it without space below
const at = menu => {
  const {top, bottom, right} = menu.previousElementSibling.getBoundingClientRect(), zoom = menu.parentElement.currentCSSZoom ?? 1;
  const low = bottom + (34 * menu.childElementCount + 1) * zoom > innerHeight, page = document.documentElement.clientWidth;
  const y = low ? `bottom: ${(innerHeight - top - scrollY) / zoom + 4}px` : `top: ${(bottom + scrollY) / zoom + 4}px`;
  menu.style.cssText = `${y}; right: ${(page - right) / zoom}px`;
};

// the meaning of a term, shown beside it
const meaning = Object.assign(document.createElement("div"), {id: "meaning", role: "tooltip", popover: "manual"});
let explained, leaving;
const beside = () => {
  const {left, bottom, top} = explained.getBoundingClientRect(), {width, height} = meaning.getBoundingClientRect();
  meaning.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  meaning.style.top = `${bottom + height + 12 < innerHeight ? bottom + 6 : top - height - 6}px`;
};
const tell = term => {
  clearTimeout(leaving);
  if (!meaning.isConnected) document.body.append(meaning);
  const text = document.getElementById(term?.getAttribute("aria-describedby"))?.textContent;
  explained = text && term;
  if (!explained) return meaning.hidePopover();
  meaning.textContent = text;
  meaning.showPopover();
  beside();
};
const term = event => event.target.closest?.("dfn");
for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, event => { if (term(event)) tell(term(event)); });
document.addEventListener("focusout", event => { if (term(event)) tell(); });
document.addEventListener("pointerout", event => { if (term(event)) leave(); });
const leave = () => { leaving = setTimeout(tell, 300); }; // time to move the pointer to the meaning
meaning.addEventListener("pointerover", () => clearTimeout(leaving));
meaning.addEventListener("pointerout", leave);
document.addEventListener("filled", () => { if (explained && !explained.isConnected) tell(); }); // it was replaced
document.addEventListener("scroll", () => { if (explained) beside(); }, {capture: true, passive: true});
document.addEventListener("keydown", event => { if (event.key === "Escape" && explained) tell(); });

// mark a symbol of a formula and its pictures
const pair = event => {
  const symbol = [event.target, document.activeElement].map(one => one?.closest?.("[data-symbol]")).find(Boolean);
  const view = symbol?.closest(".view");
  for (const one of document.querySelectorAll(".marked")) one.classList.remove("marked");
  for (const one of view?.querySelectorAll(`[data-symbol="${symbol.dataset.symbol}"]`) ?? []) one.classList.add("marked");
};
document.addEventListener("pointerover", pair);
document.addEventListener("focusin", pair);
document.addEventListener("click", event => {
  const symbol = event.target.closest("button[data-symbol]");
  symbol?.closest(".view").querySelector(`figure[data-symbol="${symbol.dataset.symbol}"]`)?.scrollIntoView({block: "center"});
});
