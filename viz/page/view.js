// A view: its figures and texts, the panes of the pinned selection, and its menu.

const view = element => {
  const part = name => element.querySelector(`section > [data-part="${name}"]`);
  const box = element.querySelector("section"), id = box.dataset.view;
  const now = paneOf(box.querySelector(".pane"), ({curveNumber, pointNumber, data}) =>
    send({view: id, curve: curveNumber, name: data.name, index: [pointNumber].flat()}));
  const blank = now.element.cloneNode(true);
  let turn = 0, value, fresh, drawn;
  listen(element);
  // figures are drawn when they are nearly visible: most are below the window or in closed lenses
  let near = false, waiting = [];
  new IntersectionObserver(entries => {
    near = entries.at(-1).isIntersecting;
    if (near) for (const go of waiting.splice(0)) go();
  }, {rootMargin: "50%"}).observe(box);
  const nearby = () => near || new Promise(resolve => waiting.push(resolve));
  // the panes of the pinned selection and of the difference, without interaction
  const aside = {};
  const panes = () => [aside.pinned, now, aside.difference].filter(Boolean);
  const beside = name => {
    const shown = value[name];
    if (!shown) {
      aside[name]?.empty();
      aside[name]?.element.remove();
      delete aside[name];
      return;
    }
    if (!aside[name]) {
      aside[name] = paneOf(blank.cloneNode(true));
      aside[name].element.classList.add("pinned");
      now.element[name === "pinned" ? "before" : "after"](aside[name].element);
    }
    aside[name].put(shown);
    for (const control of aside[name].element.querySelectorAll("[data-words], [data-word]")) {
      control.removeAttribute("data-words");
      control.removeAttribute("data-word");
      control.removeAttribute("href");
      control.disabled = true;
    }
  };
  const show = async () => {
    const mine = ++turn;
    part("scale").textContent = "";
    clearTimeout(fresh);
    set(element, value.set);
    part("measure").innerHTML = value.measure;
    box.ariaBusy = value.waiting;
    box.querySelector("[data-do=csv]").hidden = !value.counted;
    const fillIn = () => {
      box.classList.toggle("beside", Boolean(value.pinned));
      for (const name of ["pinned", "difference"]) beside(name);
      now.put(value);
    };
    if (!value.figure && !value.pinned?.figure) {
      const clear = () => { box.classList.remove("stale"); fillIn(); for (const pane of panes()) pane.empty(); };
      if (!value.waiting || value.html || !now.filled()) return clear();
      box.classList.add("stale");
      fresh = setTimeout(clear, HOVER_MS);
      return;
    }
    const Plotly = await plotly();
    if (mine !== turn) return;
    fillIn();
    await null; // write all values of an answer before the figures, which read the page's layout
    if (mine !== turn) return;
    const drawing = panes().map(pane => {
      const {figure, alt} = pane === now ? value : pane === aside.pinned ? value.pinned : value.difference;
      const parsed = figure && JSON.parse(figure);
      if (parsed) pane.reserve(parsed, alt);
      else pane.empty();
      return parsed && [pane, parsed];
    }).filter(Boolean);
    await nearby();
    for (const [pane, parsed] of drawing) {
      if (mine !== turn) return;
      await pane.draw(Plotly, parsed);
    }
    if (mine !== turn) return;
    if (value.figure && value.pinned?.figure) {
      const scale = value.own ? "Each has its own scale." : await onOneScale(Plotly, now.figure, aside.pinned.figure);
      part("scale").textContent = [scale, value.note].filter(Boolean).join(" ");
    }
    box.classList.remove("stale");
  };
  const menu = box.querySelector(".take [popover]");
  menu.addEventListener("beforetoggle", () => {
    const pictured = box.querySelector(".pane:last-child > :is(.figure:not([hidden]), .html:has(svg, img, > .figures, > .verdicts))");
    for (const button of menu.querySelectorAll(".pictured")) button.hidden = !pictured;
    at(menu);
  });
  box.addEventListener("resized", () => { for (const pane of panes()) pane.resize(); });
  element.addEventListener("click", event => {
    const does = event.target.closest("[data-do]")?.dataset.do;
    if (["png", "svg", "csv"].includes(does)) menu.hidePopover(); // the others show "Copied" on their buttons
    if (does === "csv") send({csv: id});
    if (does === "measure") send({measure: id});
    if (does === "png" || does === "svg") drawn.then(() => picture(
      panes().map(pane => pane.taken()), box.querySelector("h3").textContent, value, does));
    if (does === "python") copy(event.target, (value.python + value.beside).replace(DIGEST, digest => texts.get(digest) ?? digest));
    if (does === "share") share(event.target, box.dataset.name);
    if (does === "embed") embed(event.target, box.dataset.name);
    if (does === "large") lecture(box);
  });
  return given => {
    value = given;
    drawn = show().catch(error => now.put({which: "", words: error.message, html: ""}));
  };
};

const picture = async (panes, title, value, format) =>
  save(await exported(await plotly(), panes, title, value.facts, format), `${value.name}.${format}`);
const copy = async (button, text) => {
  const label = button.dataset.label ??= button.textContent;
  try { await navigator.clipboard.writeText(text); }
  catch { // only pages over https or from this machine have a clipboard
    const area = Object.assign(document.createElement("textarea"), {value: text});
    button.after(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "Copied";
  announce("Copied");
  setTimeout(() => { button.textContent = label; }, 2000);
};
// HTML for another page: the view alone, with the current selection
const embed = (button, view) => {
  const frame = document.createElement("iframe");
  Object.assign(frame, {src: link(view, "only").text, title: view, width: "100%", height: "560", loading: "lazy"});
  frame.style.border = "0";
  copy(button, frame.outerHTML);
};
// show one view without header and column; an empty id: the whole page
const alone = id => {
  document.documentElement.classList.toggle("only", Boolean(id));
  for (const view of document.querySelectorAll(".view-component")) view.classList.toggle("alone", view.id === id);
};
if (new URLSearchParams(location.search).has("only")) document.documentElement.classList.add("only");
const share = (button, view) => {
  const {text, whole} = link(view);
  copy(button, text);
  if (!whole) say("The picture is too large for a link: this one opens it in this browser only.");
};
const save = (blob, name) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
};
