// The page in the browser: what is clicked goes to the server in the words of a link, what comes back is shown.
document.querySelector("base")?.remove(); // with Gradio's "./", "#id" is of another page once the link has changed
window.instrument = (() => {
  const HOVER_MS = 1000; // so long an old figure may stay, greyed, while the new one is measured
  const CONFIG = {displayModeBar: false, responsive: true, doubleClick: false, showTips: false};
  const root = () => (window.gradio_config?.root ?? "").replace(/\/$/, "");
  const library = () => `${root()}/gradio_api/file=${PLOTLY_JS}`;
  let loading;
  const plotly = () => (loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = library();
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("the figures' library did not load: reload the page"));
    document.head.append(script);
  }));
  plotly().catch(() => {}); // begin before the first figure is there; whoever waits for it hears of a failure
  let dress; // of all figures of an answer, looked up once: the browser would lay out the page anew for each
  const dressed = element => {
    if (!dress) {
      const {fontFamily: family, color} = getComputedStyle(element);
      dress = {family, size: 13, color};
    }
    return dress;
  };
  const LECTURE = 1.5; // so much larger is everything there, as in the style sheet
  const fit = (figure, own) => {
    const shape = figure.shape, width = figure.clientWidth;
    const large = figure.closest(".lecture") ? 0.75 * window.innerHeight / LECTURE : 0;
    // whole pixels: what plotly calls its height is compared with what the browser does
    const high = Math.round(shape ? Math.min(shape.ratio * width + shape.extra, large || shape.most) : Math.max(own, large));
    figure.style.height = `${high}px`;
    figure.style.marginBottom = large ? `${(LECTURE - 1) * high}px` : "";
  };
  const words = text => Object.fromEntries(new URLSearchParams(text));

  // what is too long for the query stands there as a digest; this browser keeps what that is: for a reload, and for other tabs
  const STORE = "mixer microscope", KEPT = 20, DIGEST = /[0-9a-f]{32}/g;
  const LONGEST = 8000; // characters of a link, as in address.py
  const stored = () => { try { return JSON.parse(localStorage.getItem(STORE)) ?? []; } catch { return []; } };
  const texts = new Map(stored());
  const keep = found => {
    for (const [digest, text] of Object.entries(found)) texts.set(digest, text);
    const all = [...stored().filter(([digest]) => !(digest in found)), ...Object.entries(found)].slice(-KEPT);
    for (; all.length; all.shift()) // the oldest goes where the store is full; there may be none at all
      try { return localStorage.setItem(STORE, JSON.stringify(all)); } catch { continue; }
  };
  // the link of this page, or of a view in it, or of that alone, as it can be copied: with all that it stands for, or as short as it is
  const link = (view, as = "view") => {
    const page = new URL(location.href), add = view ? `${as}=${view}` : "";
    page.hash = "";
    page.search = [page.search.slice(1).split("&").filter(word => !word.startsWith("only=")).join("&"), add].filter(Boolean).join("&");
    const here = page.href;
    const digests = location.search.match(DIGEST) ?? [];
    const fragment = new URLSearchParams(digests.map(digest => [digest, texts.get(digest) ?? ""])).toString();
    const whole = location.search.length + fragment.length < LONGEST;
    return {text: fragment && whole ? `${here}#${fragment}` : here, whole};
  };
  // what the address says, with all that it stands for
  const fromAddress = ({search, hash} = location) => {
    const brought = new Map(new URLSearchParams(hash.slice(1)));
    const text = digest => brought.get(digest) ?? texts.get(digest);
    return (search + hash).replace(DIGEST, digest => encodeURIComponent(text(digest) ?? digest));
  };

  // what a control says, in the words of a link
  const said = control => {
    if (control.dataset.values) return control.dataset.values.split(",")[Number(control.value)];
    if (control.type === "checkbox") {
      const all = control.closest("fieldset").querySelectorAll("input");
      return [...all].filter(box => box.checked).map(box => box.value).join(",");
    }
    return control.value;
  };
  const set = (element, values) => {
    for (const control of element.querySelectorAll("[data-word]")) {
      const value = values[control.dataset.word];
      if (value === undefined) continue;
      if (control.sent === value) control.sent = undefined;
      if (control.sent !== undefined && control === document.activeElement) continue; // the answer is on its way
      if (control.dataset.values) control.value = control.dataset.values.split(",").indexOf(value);
      else if (control.type === "checkbox") control.checked = value.split(",").includes(control.value);
      else control.value = value;
      const output = control.parentElement.querySelector("output");
      if (output) output.textContent = control.ariaValueText = value;
    }
    for (const menu of element.querySelectorAll("details[data-menu]")) {
      const boxes = [...menu.querySelectorAll("input")];
      menu.querySelector("summary span").textContent = `${boxes.filter(box => box.checked).length} of ${boxes.length}`;
    }
  };
  // what opens over the page, menus and the drawer, closes by Escape, and by whatever is pressed in the page under it
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
  const openDrawer = () => document.querySelector("#drawer > .label-wrap:not(.open)")?.click();

  // new HTML in a part; who was on a button of it stays on the same one
  const fill = (part, html) => {
    const kept = part.contains(document.activeElement) && document.activeElement.closest("[data-words], [data-word], [data-keep]");
    part.innerHTML = html;
    part.dispatchEvent(new Event("filled", {bubbles: true}));
    if (!kept) return;
    const [name, text] = ["keep", "words", "word"].map(name => [name, kept.dataset[name]]).find(([, text]) => text);
    const again = `[data-${name}="${CSS.escape(text)}"]`;
    part.querySelector(again)?.focus({preventScroll: true});
  };

  // to an element, as soon as it is on the page, and again while what is above it grows, until the visitor moves
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
      if (id.startsWith("specimen-")) { // what is in the drawer is on the page once it was open
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
      const low = figure ?? Math.min(bottom, top + innerHeight / 2); // what is to be seen ends there
      if (top < covered - 1 || (low > innerHeight && top > covered + 1)) shown.scrollIntoView();
    };
    step();
  };
  for (const kind of ["wheel", "touchmove", "pointerdown", "keydown"])
    document.addEventListener(kind, () => settled(), {capture: true, passive: true});

  // how much of the window is under what sticks to its top: what gets the focus is scrolled clear of it
  let covered = 0;
  const uncover = () => {
    const [strip, bar] = ["#specimen", ".bars"].map(name => {
      const element = document.querySelector(name);
      const spans = element?.clientWidth > innerWidth / 2; // beside the figures, it covers none
      return spans && getComputedStyle(element).position === "sticky" ? element.offsetHeight : 0;
    });
    covered = strip + bar + 8;
    const {style} = document.documentElement;
    style.setProperty("--strip", `${strip}px`);
    style.scrollPadding = `${covered}px 0 ${document.getElementById("status").offsetHeight + 16}px`;
  };
  const sizes = new ResizeObserver(uncover);

  // nothing but these can be reached, as with a dialog; none: all of the page again
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

  // lecture mode: one view fills the screen; arrows go on, through a tour or through the views of the lens
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
    const others = ["tour", "status"].map(id => document.getElementById(id)); // picture and answer are only seen
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

  // a playlist: links, one a line, which arrows go through in a lecture
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

  // what a term means, beside it
  const meaning = Object.assign(document.createElement("div"), {id: "meaning", role: "tooltip", popover: "manual"});
  let told, leaving;
  const beside = () => {
    const {left, bottom, top} = told.getBoundingClientRect(), {width, height} = meaning.getBoundingClientRect();
    meaning.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
    meaning.style.top = `${bottom + height + 12 < innerHeight ? bottom + 6 : top - height - 6}px`;
  };
  const tell = term => {
    clearTimeout(leaving);
    if (!meaning.isConnected) document.body.append(meaning);
    const text = document.getElementById(term?.getAttribute("aria-describedby"))?.textContent;
    told = text && term;
    if (!told) return meaning.hidePopover();
    meaning.textContent = text;
    meaning.showPopover();
    beside();
  };
  const term = event => event.target.closest?.("dfn");
  for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, event => { if (term(event)) tell(term(event)); });
  document.addEventListener("focusout", event => { if (term(event)) tell(); });
  document.addEventListener("pointerout", event => { if (term(event)) leave(); });
  const leave = () => { leaving = setTimeout(tell, 300); }; // so the pointer has time to go to the meaning, and stays there
  meaning.addEventListener("pointerover", () => clearTimeout(leaving));
  meaning.addEventListener("pointerout", leave);
  document.addEventListener("filled", () => { if (told && !told.isConnected) tell(); }); // it was drawn anew
  document.addEventListener("scroll", () => { if (told) beside(); }, {capture: true, passive: true});
  document.addEventListener("keydown", event => { if (event.key === "Escape" && told) tell(); });

  // a symbol of a formula and its pictures
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

  // what came from the server for each element
  const shows = new Map(), latest = {};
  let held = false; // what came with the page is not what its link says: it waits for the answer to that
  const put = (id, value) => {
    latest[id] = value;
    if (!held) shows.get(id)?.(value);
  };
  const release = () => {
    if (!held) return;
    held = false;
    for (const [id, value] of Object.entries(latest)) put(id, value);
  };

  // clicks and controls of an element send words
  const listen = element => {
    element.addEventListener("click", event => {
      const place = event.target.closest("[data-words]");
      if (!place || (place.href && (event.ctrlKey || event.metaKey))) return; // a link opens in a tab of its own, too
      event.preventDefault();
      send({words: words(place.dataset.words)});
      if (place.dataset.go) go(place.dataset.go);
    });
    element.addEventListener("input", event => {
      const control = event.target.closest("[data-word][data-values]");
      if (control) control.parentElement.querySelector("output").textContent = control.ariaValueText = said(control);
    });
    element.addEventListener("change", event => {
      const control = event.target.closest("[data-word]");
      if (!control) return;
      control.sent = said(control);
      send({words: {[control.dataset.word]: control.sent}});
    });
  };

  // what the pointer tells of a point whose place is sent as numbers
  const PLACE = /\(\d+, \d+\)/;
  const inNumbers = ({customdata, data}) =>
    data.hovertemplate?.match(/patch \(.*?\)/)?.[0].replace(/%\{customdata\[(\d)\]\}/g, (_, i) => customdata?.[i]);

  // the patch that the pointer is at, such as "(3, 1)", is marked in the picture, which is always in sight
  const mark = place => {
    for (const marked of document.querySelectorAll(".picker .pointed")) marked.classList.remove("pointed");
    if (place) document.querySelector(`.picker [data-place="${place}"]`)?.classList.add("pointed");
  };
  const pointAt = point => {
    const told = point && [point.hovertext ?? point.text, point.y, inNumbers(point)].find(words => PLACE.test(words));
    mark(told && told.match(PLACE)[0]);
  };

  // one picture of a view: its words, and a figure, whose points can be picked, or HTML
  const paneOf = (element, picked) => {
    const part = name => element.querySelector(`[data-part="${name}"]`);
    const figure = part("figure");
    let own;
    const put = ({which, words, html}) => {
      const buttons = () => [...part("words").querySelectorAll("button")];
      const here = buttons().indexOf(document.activeElement);
      part("which").textContent = which;
      part("words").innerHTML = words;
      fill(part("html"), html);
      buttons()[here]?.focus({preventScroll: true}); // so a key can be pressed again
    };
    const empty = () => { if (figure.data) window.Plotly.purge(figure); figure.replaceChildren(); figure.hidden = true; };
    // its place on the page, as large as it is going to be
    const reserve = ({layout}, alt) => {
      figure.hidden = false;
      figure.ariaLabel = alt;
      own = layout.height ?? 320;
      figure.shape = layout.meta;
      figure.classList.toggle("wide", figure.shape?.ratio < 0.6);
      fit(figure, own);
    };
    const draw = async (Plotly, {data, layout}) => {
      layout.font = dressed(figure);
      layout.hoverlabel.font.family = layout.font.family; // plotly's own is Arial
      fit(figure, own);
      delete layout.height;
      const begun = Boolean(figure.data);
      await Plotly.react(figure, data, layout, CONFIG);
      if (begun && figure._fullLayout.height !== figure.clientHeight) await Plotly.Plots.resize(figure);
      if (begun) return;
      figure.on("plotly_hover", event => pointAt(event.points[0]));
      figure.on("plotly_unhover", () => pointAt());
      if (picked) figure.on("plotly_click", event => picked(event.points[0]));
    };
    let width = 0;
    new ResizeObserver(() => {
      if (!figure.layout || !figure.clientWidth || figure.clientWidth === width) return;
      width = figure.clientWidth;
      fit(figure, own);
      // drawn while its lens was hidden, it has a width of plotly's own
      if (Math.abs(figure._fullLayout.width - width) > 1) window.Plotly.Plots.resize(figure);
    }).observe(figure);
    const resize = () => {
      if (!figure.data) return;
      fit(figure, own);
      window.Plotly.Plots.resize(figure);
    };
    const taken = () => ({which: part("which").textContent, figure, html: part("html")});
    return {element, figure, put, empty, reserve, draw, resize, taken, filled: () => Boolean(figure.data || part("html").innerHTML)};
  };

  // two figures of a view: colours and axes from the smaller of both beginnings to the larger of both ends; in words
  const onOneScale = async (Plotly, one, other) => {
    const both = [one, other];
    const union = (low, high) => [Math.min(...low), Math.max(...high)];
    let joined = false;
    const join = (parts, values) => {
      for (const part of parts) Object.assign(part, values);
      joined = true;
    };
    const alike = one.data.length === other.data.length;
    if (alike) one._fullData.forEach((trace, i) => {
      const pair = both.map(figure => figure._fullData[i]);
      const kind = ({type, colorscale}) => JSON.stringify([type, colorscale]);
      if (trace.type === "heatmap" && kind(pair[0]) === kind(pair[1])) {
        const [zmin, zmax] = union(pair.map(trace => trace.zmin), pair.map(trace => trace.zmax));
        join(both.map(figure => figure.data[i]), {zmin, zmax});
      } else if (pair.every(trace => trace.marker?.showscale)) {
        const [cmin, cmax] = union(pair.map(trace => trace.marker.cmin), pair.map(trace => trace.marker.cmax));
        join(both.map(figure => figure.data[i].marker), {cmin, cmax});
      }
    });
    const pictured = figure => figure._fullData.some(({type}) => type === "heatmap" || type === "image");
    const axes = both.some(pictured) ? [] : Object.keys(one._fullLayout).filter(name => /^[xy]axis\d*$/.test(name));
    for (const name of axes) {
      const pair = both.map(figure => figure._fullLayout[name]);
      if (!pair.every(axis => axis?.type === "linear" && axis.title.text === pair[0].title.text)) continue;
      const ends = pair.map(({range}) => [...range].sort((a, b) => a - b));
      const range = union(ends.map(([low]) => low), ends.map(([, high]) => high));
      if (pair[0].range[0] > pair[0].range[1]) range.reverse();
      join(both.map(figure => figure.layout[name]), {range, autorange: false});
    }
    for (const figure of both) await Plotly.react(figure, figure.data, figure.layout, CONFIG);
    if (joined) return "Common scale, the wider of the two.";
    return alike ? "" : "Separate scales: they show different things.";
  };

  // a menu under its button, or where there is no room, over it
  const at = menu => {
    const {top, bottom, right} = menu.previousElementSibling.getBoundingClientRect(), zoom = menu.parentElement.currentCSSZoom ?? 1;
    const low = bottom + (34 * menu.childElementCount + 1) * zoom > innerHeight, page = document.documentElement.clientWidth;
    const y = low ? `bottom: ${(innerHeight - top - scrollY) / zoom + 4}px` : `top: ${(bottom + scrollY) / zoom + 4}px`;
    menu.style.cssText = `${y}; right: ${(page - right) / zoom}px`;
  };

  const view = element => {
    const part = name => element.querySelector(`section > [data-part="${name}"]`);
    const box = element.querySelector("section"), id = box.dataset.view;
    const now = paneOf(box.querySelector(".pane"), ({curveNumber, pointNumber, data}) =>
      send({view: id, curve: curveNumber, name: data.name, index: [pointNumber].flat()}));
    const blank = now.element.cloneNode(true);
    let turn = 0, value, fresh, drawn;
    listen(element);
    // figures wait until they are nearly in sight: most of a lens is below the window, and of closed lenses all is
    let near = false, waiting = [];
    new IntersectionObserver(entries => {
      near = entries.at(-1).isIntersecting;
      if (near) for (const go of waiting.splice(0)) go();
    }, {rootMargin: "50%"}).observe(box);
    const nearby = () => near || new Promise(resolve => waiting.push(resolve));
    // the places for what is pinned and for the difference: what is in them answers no click
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
      await null; // first all that an answer writes, then all figures, which look at the page's layout
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
      if (["png", "svg", "csv"].includes(does)) menu.hidePopover(); // "Copied" is said on its buttons
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

  const picture = async (panes, title, value, format) => {
    const url = URL.createObjectURL(await exported(await plotly(), panes, title, value.facts, format));
    save(url, `${value.name}.${format}`);
    URL.revokeObjectURL(url);
  };
  const copy = async (button, text) => {
    const label = button.dataset.label ??= button.textContent;
    try { await navigator.clipboard.writeText(text); }
    catch { // only a page by https, or of this machine, has a clipboard
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
  // for a page of somebody else: the view alone, with all that is chosen here
  const embed = (button, view) => {
    const frame = document.createElement("iframe");
    Object.assign(frame, {src: link(view, "only").text, title: view, width: "100%", height: "560", loading: "lazy"});
    frame.style.border = "0";
    copy(button, frame.outerHTML);
  };
  // one view without header and column; an empty name: all of the page
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
  const save = (url, name) => {
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
  };

  const tabs = element => {
    const last = {};
    const buttons = [...element.querySelectorAll("[role=tab]")];
    const open = lens => {
      const group = lens.split(".")[0];
      last[group] = lens;
      for (const tab of buttons) {
        const chosen = tab.dataset.lens === lens || tab.dataset.group === group;
        tab.ariaSelected = chosen;
        tab.tabIndex = chosen ? 0 : -1;
        if (chosen) bring(tab);
      }
      for (const parts of element.querySelectorAll("[data-parts]")) parts.hidden = parts.dataset.parts !== group;
      for (const panel of document.querySelectorAll(".lens")) panel.classList.toggle("open", panel.id === `lens-${lens.replace(".", "-")}`);
    };
    const bring = tab => { // to the middle of a row that scrolls
      const row = tab.parentElement, [here, whole] = [tab, row].map(one => one.getBoundingClientRect());
      row.scrollLeft += here.left + here.width / 2 - whole.left - whole.width / 2;
    };
    const choose = tab => {
      const lens = tab.dataset.lens ?? last[tab.dataset.group] ?? tab.dataset.first;
      open(lens);
      send({words: {lens}});
    };
    element.addEventListener("click", event => {
      const tab = event.target.closest("[role=tab]");
      if (tab) choose(tab);
    });
    element.addEventListener("keydown", event => {
      const tab = event.target.closest("[role=tab]");
      if (!tab || !["ArrowRight", "ArrowLeft", "Home", "End"].includes(event.key)) return;
      event.preventDefault();
      const all = [...tab.parentElement.querySelectorAll("[role=tab]")], here = all.indexOf(tab);
      const to = {ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: -1}[event.key];
      const next = all.at(to % all.length);
      next.focus();
      choose(next);
    });
    return open;
  };

  const picker = element => {
    let cols;
    const show = ({image, aspect, patches, ...more}) => {
      cols = more.cols;
      const group = element.querySelector(".picker");
      group.style.cssText = `background-image: url(${image}); grid-template-columns: repeat(${cols}, 1fr); aspect-ratio: ${aspect}`;
      while (group.children.length > patches.length) group.lastChild.remove();
      while (group.children.length < patches.length) {
        const button = document.createElement("button");
        button.type = "button";
        button.dataset.patch = group.children.length;
        group.append(button);
      }
      patches.forEach((patch, i) => {
        const button = group.children[i];
        button.ariaLabel = button.title = patch.label;
        button.ariaPressed = patch.chosen;
        button.classList.toggle("grouped", patch.grouped);
        button.value = patch.place;
        button.dataset.place = `(${patch.place.replace(",", ", ")})`;
        button.tabIndex = patch.chosen === "true" ? 0 : -1;
      });
    };
    // on a phone, patches of the strip are too small for a finger: a tap shows the picture large
    const phone = matchMedia("(max-width: 820px)"), grow = element.querySelector(".grow");
    const size = large => {
      element.classList.toggle("large", large);
      grow.ariaExpanded = large;
      element.querySelector(".picker").inert = phone.matches && !large;
    };
    phone.addEventListener("change", () => size(false));
    size(false);
    grow.addEventListener("click", () => {
      size(!element.classList.contains("large"));
      element.querySelector('[aria-pressed="true"]')?.focus();
    });
    element.addEventListener("keydown", event => {
      if (event.key !== "Escape" || !element.classList.contains("large")) return;
      size(false);
      grow.focus();
    });
    element.addEventListener("click", event => {
      const button = event.target.closest("button[data-patch]");
      if (!button) return;
      send({words: {patch: button.value}});
      size(false);
      if (phone.matches) grow.focus();
    });
    element.addEventListener("keydown", event => {
      const button = event.target.closest("button[data-patch]");
      const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: cols, ArrowUp: -cols}[event.key];
      if (!button || !step) return;
      event.preventDefault();
      const here = Number(button.dataset.patch), next = here + step;
      if (Math.abs(step) === 1 && Math.floor(next / cols) !== Math.floor(here / cols)) return;
      element.querySelector(`button[data-patch="${next}"]`)?.focus();
    });
    return show;
  };

  const controls = element => {
    listen(element);
    return value => {
      set(element, value.set);
      if (value.told) announce(value.told);
      const html = element.querySelector('[data-part="html"]');
      if (html) fill(html, value.html ?? "");
    };
  };

  shows.set("kept", keep);
  const inStatus = part => document.querySelector(`#status [data-part="${part}"]`);
  const say = text => { inStatus("said").textContent = text; };
  const announce = text => { inStatus("told").textContent = text; }; // to those who do not see what changed

  // what is chosen goes to the server, one after the other, so the answers are shown in the order of the choices;
  // what is not answered when the page is loaded anew is sent again
  const STORED = "mixer unanswered", PATIENCE = 3000, PAUSE = 1000;
  const remembered = () => { try { return JSON.parse(sessionStorage.getItem(STORED)) ?? []; } catch { return []; } };
  const kept = ({words, view, measure, chosen}) => words || view || measure || chosen;
  const visitor = crypto.getRandomValues(new Uint32Array(4)).join("-");
  const unanswered = [{link: fromAddress()}, ...remembered()];
  const remember = () => {
    try { sessionStorage.setItem(STORED, JSON.stringify(unanswered.filter(kept))); } catch { /* there is no store */ }
  };
  const reload = () => { location.reload(); return new Promise(() => {}); }; // nothing is done meanwhile
  const look = async () => { // whether the server is there; one that has started anew has another page
    const found = await fetch(`${root()}/gradio_api/app_id`).then(answer => answer.ok && answer.json()).catch(() => {});
    document.body.classList.toggle("away", !found);
    if (!found) say("The server does not answer. What you choose is done as soon as it is back.");
    else if (found.app_id !== window.gradio_config.app_id) await reload();
    return found;
  };
  let act, measure, asking = false;
  const ask = async () => {
    if (!act || asking) return;
    asking = true;
    for (let failed = 0, again = false; unanswered.length;) {
      const watch = setInterval(look, PATIENCE);
      const answer = await act({...unanswered[0], visitor, again, network});
      clearInterval(watch);
      if (answer?.lost) await reload(); // it forgot this visitor: the new page begins with the link
      again = !answer; // what it would have brought is to come with the next one
      if (!answer && (!(await look()) || !failed++)) {
        await new Promise(resolve => setTimeout(resolve, PAUSE));
        continue;
      }
      failed = 0;
      const {link, chosen, listed} = unanswered.shift();
      remember();
      if (answer) show(answer, chosen || link === undefined);
      if (answer && listed) fillScreen(answer.status.go);
      if (!answer) say("Something in the program went wrong. The server's log has the details.");
    }
    asking = false;
  };
  const fillScreen = id => { // by a view that a link names, or by the first of its lens
    const view = (document.getElementById(id) ?? document.querySelector(".lens.open")).querySelector(".view");
    if (!view.classList.contains("lecture")) lecture(view);
  };
  const send = payload => {
    unanswered.push(payload);
    remember();
    ask();
  };
  const photo = file => send({photo: file?.path ?? null});

  // markup is on the page: bring it to life, and show what has come for it
  const kinds = {view, tabs, picker, controls};
  let ofNetwork = {}; // by the id of its place; Gradio puts what is in its drawer on the page when that is opened
  const bind = host => {
    for (const [id, html] of Object.entries(ofNetwork)) {
      const place = host.querySelector(`#${id}`);
      if (place) place.innerHTML = html;
    }
    for (const element of host.querySelectorAll("[data-kind]")) {
      shows.set(element.id, kinds[element.dataset.kind](element));
      if (element.id in latest) put(element.id, latest[element.id]);
    }
    for (const element of document.querySelectorAll("#specimen, #status, .bars")) sizes.observe(element);
  };

  // what the server sends: values for elements, the link, what is to be said, whether to measure, and a file to take away
  const receive = parts => {
    dress = undefined;
    for (const [id, value] of Object.entries(parts)) put(id, value);
  };
  const show = ({status: {link, said, wait, running, file, go: place, follow, ...about}, ...parts}, chosen) => {
    if (about.markup) rebuild(about.markup);
    if (about.networks) networks(about);
    receive(parts);
    release();
    if (!unanswered.some(({link}) => link !== undefined)) address(link, chosen);
    if (about.only !== undefined) alone(about.only);
    if (place) go(place);
    if (document.body.classList.contains("away")) say("");
    document.body.classList.remove("away");
    if (said !== undefined) say(said);
    if (wait === null) progress(wait);
    if (running) measure();
    if (follow) send({link: follow, chosen: true});
    if (file) take(file);
    else if (said !== undefined) made();
  };
  // the browser's Back comes back to another network, tab or picture; all else is as it was there
  const CHAPTERS = ["network", "lens", "sample", "picture"];
  let shown = location.search;
  const address = (own, chosen) => {
    const foreign = new URLSearchParams([...new URLSearchParams(location.search)].filter(([name]) => name.startsWith("__") || name === "only"));
    const query = [foreign.toString(), own].filter(Boolean).join("&");
    const place = document.getElementById(location.hash.slice(1)) ? location.hash : "";
    const [was, is] = [location.search, query].map(text => new URLSearchParams(text));
    const next = chosen && CHAPTERS.some(name => was.get(name) !== is.get(name));
    history[next ? "pushState" : "replaceState"](history.state, "", `${location.pathname}${query ? `?${query}` : ""}${place}`);
    shown = location.search;
  };
  addEventListener("popstate", () => { if (location.search !== shown) send({link: fromAddress()}); });
  const progress = wait => {
    document.querySelector("#status .wait").hidden = !wait;
    if (!wait) return;
    const bar = document.querySelector("#status progress");
    bar.max = wait.total;
    bar.value = wait.done;
    inStatus("wait").textContent = wait.text;
  };
  const reports = label => { document.querySelector("[popovertarget=reports]").textContent = label; };
  const made = () => reports("Report");
  const take = async ({name, text}) => {
    const report = name.endsWith(".html");
    const [before, after] = text.split("<template id=library></template>");
    const faces = report && await exported.fonts(getComputedStyle(document.body).fontFamily);
    const parts = report ? [before, "<style>", faces, "</style>", "<scr", "ipt>", await (await fetch(library())).text(), "</scr", "ipt>", after] : [text];
    const url = URL.createObjectURL(new Blob(parts, {type: report ? "text/html" : "text/csv"}));
    save(url, name);
    URL.revokeObjectURL(url);
    made();
  };

  const wire = (props, trigger, server) => {
    held = unanswered.length > 1 || // the link is one
      [...new URLSearchParams(location.search).keys()].some(name => !name.startsWith("__"));
    receive(JSON.parse(props.value));
    act = server.act;
    measure = () => trigger("change", {visitor, network});
    ask();
  };

  const status = (element, props, watch) => {
    watch("wait", () => progress(props.wait));
    watch("redraw", () => send({redraw: true}));
    element.addEventListener("click", event => {
      if (event.target.closest("[data-do=stop]")) send({stop: true});
    });
    document.addEventListener("click", event => {
      const of = event.target.closest("[data-do=report]")?.dataset.of;
      if (!of) return;
      document.getElementById("reports").hidePopover();
      reports("Making …");
      send({report: location.href.split(/[?#]/)[0], of});
    });
  };

  // another network: what of the page depends on it is made anew
  const rebuild = markup => {
    const going = played;
    lecture();
    played = going;
    ofNetwork = markup;
    for (const id of Object.keys(markup)) {
      const place = document.getElementById(id);
      for (const figure of place?.querySelectorAll(".js-plotly-plot") ?? []) window.Plotly.purge(figure);
      for (const element of place?.querySelectorAll("[data-kind]") ?? []) {
        shows.delete(element.id);
        delete latest[element.id];
      }
      if (place) bind(place.parentElement);
    }
  };

  // the networks to choose from; the link goes along
  let network;
  const networks = ({network: now, networks: list, others, facts}) => {
    network = now;
    const label = document.getElementById("network"), select = label.querySelector("select");
    const text = ({name, words}) => [name, words].filter(Boolean).join(": ");
    select.replaceChildren(...list.map(one => new Option(text(one), one.name, one.name === now, one.name === now)));
    if (others) select.append(new Option("others ...", ""));
    select.disabled = false;
    label.hidden = select.options.length < 2;
    label.parentElement.querySelector("small").textContent = facts;
    label.parentElement.querySelector("[data-do=open]").hidden = true;
    // weights beside those from before the training: this network is pinned beside that one
    const start = list.find(({words}) => words === "untrained");
    document.body.dataset.untrained = start && start.name !== now ? start.name : "";
  };
  const withWords = words => {
    const all = new URLSearchParams(fromAddress().split("#")[0]);
    for (const [name, text] of Object.entries(words)) all.set(name, text);
    return all;
  };
  const open = (link, more) => {
    document.querySelector("#network select").disabled = true;
    say(`Opening ${link.get("network")} ...`);
    send({link: link.toString(), chosen: true, ...more});
  };

  const header = element => {
    const menu = element.querySelector("#reports");
    menu.addEventListener("beforetoggle", () => at(menu));
    playlist(element.querySelector("#playlist"));
    const select = element.querySelector("#network select"), button = element.querySelector("[data-do=open]");
    const dialog = element.querySelector("dialog"), source = dialog.querySelector("input");
    const choose = () => select.value ? open(withWords({network: select.value})) : dialog.showModal();
    dialog.addEventListener("close", () => { select.value = network; });
    dialog.addEventListener("submit", () => open(withWords({network: source.value}), {open: source.value}));
    // a key that goes through the list opens none of them yet
    let byKey = false;
    select.addEventListener("keydown", ({key}) => {
      byKey = !["Enter", "Tab", "Escape"].includes(key);
      if (key === "Enter" && !button.hidden) choose();
    });
    select.addEventListener("pointerdown", () => { byKey = false; });
    select.addEventListener("change", () => {
      button.hidden = select.value === network;
      if (!byKey) choose();
    });
    element.addEventListener("click", event => {
      const does = event.target.closest("[data-do]")?.dataset.do;
      if (does === "open") choose();
      if (does === "close") dialog.close();
      if (does === "link") share(event.target);
    });
    document.addEventListener("click", event => {
      if (!event.target.closest("[data-do=untrained]")) return;
      const own = withWords({network});
      own.delete("pin");
      open(withWords({network: document.body.dataset.untrained, pin: own}));
    });
  };

  return {bind, wire, status, header, photo, announce, mark};
})();
