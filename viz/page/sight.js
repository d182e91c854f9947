// Visibility: scrolling to an element, sticky elements at the top, and inert parts.

const openDrawer = () => document.querySelector("#drawer > .label-wrap:not(.open)")?.click();

// scroll to an element when it is on the page, and again while the page above it grows, until the visitor acts
let settled = () => {};
const go = id => {
  const until = performance.now() + 5000;
  let going = true;
  settled();
  settled = () => { going = false; };
  const step = () => {
    if (!going || performance.now() > until) return;
    requestAnimationFrame(step);
    const element = document.getElementById(id);
    if (id.startsWith("specimen-")) { // Gradio creates the content of the drawer when it opens
      settled();
      return openDrawer();
    }
    if (!element?.checkVisibility()) return;
    if (document.body.classList.contains("lecturing")) {
      const view = element.querySelector(".view");
      if (!view.classList.contains("lecture")) lecture(view);
      return settled();
    }
    const shown = element.querySelector(".opened") ?? element, {top, bottom} = shown.getBoundingClientRect();
    const figure = shown.querySelector(".figure:not([hidden])")?.getBoundingClientRect().bottom;
    const low = figure ?? Math.min(bottom, top + innerHeight / 2); // the end of the part to show
    if (top < covered - 1 || (low > innerHeight && top > covered + 1)) shown.scrollIntoView();
  };
  step();
};
for (const kind of ["wheel", "touchmove", "pointerdown", "keydown"])
  document.addEventListener(kind, () => settled(), {capture: true, passive: true});

// height of the sticky elements at the top: the focus is scrolled clear of them
let covered = 0;
const uncover = () => {
  const [strip, bar] = ["#specimen", ".bars"].map(name => {
    const element = document.querySelector(name);
    const spans = element?.clientWidth > innerWidth / 2; // beside the figures, it covers none of them
    return spans && getComputedStyle(element).position === "sticky" ? element.offsetHeight : 0;
  });
  covered = strip + bar + 8;
  const {style} = document.documentElement;
  style.setProperty("--strip", `${strip}px`);
  style.scrollPadding = `${covered}px 0 ${document.getElementById("status").offsetHeight + 16}px`;
};
const sizes = new ResizeObserver(uncover);

// make everything else inert, as for a dialog; without arguments, nothing is inert
const only = (...within) => {
  for (const one of document.querySelectorAll("[data-behind]")) {
    one.inert = false;
    delete one.dataset.behind;
  }
  const way = new Set();
  for (const one of within) for (let over = one.parentElement; over; over = over.parentElement) way.add(over);
  for (const over of way)
    for (const one of over.children)
      if (!way.has(one) && !within.includes(one) && !one.inert) {
        one.inert = true;
        one.dataset.behind = "";
      }
};
