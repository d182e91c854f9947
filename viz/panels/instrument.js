// The page in the browser: what is clicked goes to the server in the words of a link, what comes back is shown.
document.querySelector("base")?.remove(); // with Gradio's "./", "#id" is of another page once the link has changed
window.instrument = (() => {
  const HOVER_MS = 1000; // so long an old figure may stay, greyed, while the new one is measured
  const CONFIG = {displayModeBar: false, responsive: true, doubleClick: false, showTips: false};
  const root = () => (window.gradio_config?.root ?? "").replace(/\/$/, "");
  const site = () => root().replace(/\/networks\/[^/]*$/, ""); // of the first page, where the others are listed
  let loading;
  const plotly = () => (loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `${site()}/gradio_api/file=${PLOTLY_JS}`;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("the figures' library did not load: reload the page"));
    document.head.append(script);
  }));
  plotly().catch(() => {}); // begin before the first figure is there; whoever waits for it hears of a failure
  const dressed = element => {
    const style = getComputedStyle(element);
    return {family: style.fontFamily, size: 13, color: style.color};
  };
  const height = (layout, width, own) => {
    const shape = layout.meta, large = document.fullscreenElement ? 0.8 * window.innerHeight : 0;
    return shape ? Math.min(shape.ratio * width + shape.extra, large || shape.most) : Math.max(own, large);
  };
  const words = text => Object.fromEntries(new URLSearchParams(text));

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
  };

  // clicks and controls of an element send words
  const listen = (element, trigger) => {
    element.addEventListener("click", event => {
      const place = event.target.closest("[data-words]");
      if (place) { event.preventDefault(); trigger("select", {words: words(place.dataset.words)}); }
    });
    element.addEventListener("input", event => {
      const control = event.target.closest("[data-word][data-values]");
      if (control) control.parentElement.querySelector("output").textContent = control.ariaValueText = said(control);
    });
    element.addEventListener("change", event => {
      const control = event.target.closest("[data-word]");
      if (!control) return;
      control.sent = said(control);
      trigger("select", {words: {[control.dataset.word]: control.sent}});
    });
  };

  const view = (element, props, trigger, watch) => {
    const part = name => element.querySelector(`[data-part="${name}"]`);
    const figure = part("figure"), box = element.querySelector("section");
    const id = box.dataset.view;
    let turn = 0, fresh, own;
    listen(element, trigger);
    const empty = () => { if (figure.data) window.Plotly.purge(figure); figure.replaceChildren(); figure.hidden = true; };
    const show = async () => {
      const value = props.value, mine = ++turn;
      if (!value) return;
      clearTimeout(fresh);
      set(element, value.set);
      part("measure").innerHTML = value.measure;
      box.ariaBusy = value.waiting;
      const put = () => { part("words").innerHTML = value.words; part("html").innerHTML = value.html; };
      if (!value.figure) {
        if (value.waiting && (figure.data || part("html").innerHTML)) {
          box.classList.add("stale");
          fresh = setTimeout(() => { box.classList.remove("stale"); empty(); put(); }, HOVER_MS);
        } else { box.classList.remove("stale"); empty(); put(); }
        return;
      }
      const {data, layout} = JSON.parse(value.figure);
      const Plotly = await plotly();
      if (mine !== turn) return;
      put();
      figure.hidden = false;
      figure.ariaLabel = value.alt;
      layout.font = dressed(figure);
      own = layout.height ?? 320;
      figure.style.height = `${height(layout, figure.clientWidth, own)}px`;
      delete layout.height;
      const begun = Boolean(figure.data);
      await Plotly.react(figure, data, layout, CONFIG);
      if (begun && figure._fullLayout.height !== figure.clientHeight) await Plotly.Plots.resize(figure);
      box.classList.remove("stale");
      if (begun) return;
      figure.on("plotly_click", event => {
        const {curveNumber, pointNumber, data} = event.points[0];
        trigger("select", {view: id, curve: curveNumber, name: data.name, index: [pointNumber].flat()});
      });
      let width = figure.clientWidth;
      new ResizeObserver(() => {
        if (!figure.layout || !figure.clientWidth || figure.clientWidth === width) return;
        width = figure.clientWidth;
        figure.style.height = `${height(figure.layout, width, own)}px`;
      }).observe(figure);
    };
    element.addEventListener("click", event => {
      const does = event.target.closest("[data-do]")?.dataset.do;
      if (does === "csv") trigger("select", {csv: id});
      if (does === "measure") trigger("select", {measure: id});
      if (does === "png" || does === "svg") picture(figure, box, props.value, does);
      if (does === "python") copy(event.target, props.value.python);
      if (does === "large") enlarge(box, figure);
    });
    watch("value", () => show().catch(error => { part("words").textContent = error.message; }));
    show().catch(error => { part("words").textContent = error.message; });
  };

  // the figure as a file for a paper: on white, with its title over it and what it is of under it
  const picture = async (figure, box, value, format) => {
    if (!figure.data) return;
    const {width, height} = figure.getBoundingClientRect();
    const text = value.facts.match(/.{1,90}( · |$)/g).join("<br>");
    const lines = text.split("<br>").length;
    const layout = structuredClone(figure.layout);
    Object.assign(layout, {
      paper_bgcolor: "white",
      font: {...layout.font, color: "#333"},
      title: {text: box.querySelector("h3").textContent, x: 0.01, xanchor: "left", font: {size: 15}},
      margin: {...layout.margin, t: (layout.margin?.t ?? 0) + 40, b: (layout.margin?.b ?? 0) + 20 + 15 * lines},
      annotations: [...(layout.annotations ?? []), {
        text, x: 0, y: 0, xref: "paper", yref: "container", xanchor: "left", yanchor: "bottom", align: "left",
        showarrow: false, font: {size: 11}}],
    });
    const note = layout.annotations.at(-1);
    Object.assign(note, {yref: "paper", yanchor: "top", y: 0, yshift: -(layout.margin.b - 15 * lines - 6)});
    const size = {width: Math.max(560, width), height: height + 60 + 15 * lines};
    const Plotly = await plotly();
    const url = await Plotly.toImage({data: figure.data, layout}, {format, ...size, scale: format === "png" ? 3 : 1});
    save(url, `${value.name}.${format}`);
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
    setTimeout(() => { button.textContent = label; }, 2000);
  };
  const save = (url, name) => {
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
  };
  const enlarge = (box, figure) => {
    if (document.fullscreenElement) document.exitFullscreen();
    else box.requestFullscreen?.().then(() => { if (figure.data) window.Plotly.Plots.resize(figure); });
  };

  const tabs = (element, props, trigger, watch) => {
    const last = {};
    const buttons = [...element.querySelectorAll("[role=tab]")];
    const open = lens => {
      const group = lens.split(".")[0];
      last[group] = lens;
      for (const tab of buttons) {
        const chosen = tab.dataset.lens === lens || tab.dataset.group === group;
        tab.ariaSelected = chosen;
        tab.tabIndex = chosen ? 0 : -1;
      }
      for (const parts of element.querySelectorAll("[data-parts]")) parts.hidden = parts.dataset.parts !== group;
      for (const panel of document.querySelectorAll(".lens")) panel.classList.toggle("open", panel.id === `lens-${lens.replace(".", "-")}`);
      for (const tab of element.querySelectorAll('[role=tablist]:not([hidden]) [aria-selected="true"]'))
        tab.scrollIntoView({block: "nearest", inline: "nearest"});
    };
    const choose = tab => {
      const lens = tab.dataset.lens ?? last[tab.dataset.group] ?? tab.dataset.first;
      open(lens);
      trigger("select", {words: {lens}});
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
    watch("value", () => open(props.value));
    open(props.value);
  };

  const picker = (element, props, trigger, watch) => {
    const show = () => {
      const {image, cols, aspect, patches} = props.value;
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
        button.tabIndex = patch.chosen === "true" ? 0 : -1;
      });
    };
    const place = patch => `${Math.floor(patch / props.value.cols)},${patch % props.value.cols}`;
    element.addEventListener("click", event => {
      const button = event.target.closest("button[data-patch]");
      if (button) trigger("select", {words: {patch: place(Number(button.dataset.patch))}});
    });
    element.addEventListener("keydown", event => {
      const button = event.target.closest("button[data-patch]");
      const cols = props.value.cols;
      const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: cols, ArrowUp: -cols}[event.key];
      if (!button || !step) return;
      event.preventDefault();
      const here = Number(button.dataset.patch), next = here + step;
      if (Math.abs(step) === 1 && Math.floor(next / cols) !== Math.floor(here / cols)) return;
      element.querySelector(`button[data-patch="${next}"]`)?.focus();
    });
    watch("value", show);
    show();
  };

  const controls = (element, props, trigger, watch) => {
    const show = () => {
      set(element, props.value.set);
      const html = element.querySelector('[data-part="html"]');
      if (html) {
        const kept = document.activeElement?.closest?.("[data-words]")?.dataset.words;
        html.innerHTML = props.value.html ?? "";
        if (kept && !document.activeElement?.closest?.("[data-words]"))
          html.querySelector(`[data-words="${CSS.escape(kept)}"]`)?.focus({preventScroll: true});
      }
    };
    listen(element, trigger);
    watch("value", show);
    show();
  };

  // the link, the progress of what is being measured, what went wrong, and files to take away
  const status = (element, props, trigger, watch) => {
    const part = name => element.querySelector(`[data-part="${name}"]`);
    watch("link", () => {
      const foreign = new URLSearchParams([...new URLSearchParams(location.search)].filter(([name]) => name.startsWith("__")));
      const query = [foreign.toString(), props.link].filter(Boolean).join("&");
      history.replaceState(history.state, "", `${location.pathname}${query ? `?${query}` : ""}${location.hash}`);
    });
    watch("said", () => { part("said").textContent = props.said; });
    watch("running", () => { if (props.running) trigger("change"); });
    watch("redraw", () => trigger("select", {redraw: true}));
    watch("wait", () => {
      const wait = props.wait;
      element.querySelector(".wait").hidden = !wait;
      if (!wait) return;
      const bar = element.querySelector("progress");
      bar.max = wait.total;
      bar.value = wait.done;
      part("wait").textContent = wait.text;
    });
    watch("file", () => {
      const url = URL.createObjectURL(new Blob([props.file.text], {type: "text/csv"}));
      save(url, props.file.name);
      URL.revokeObjectURL(url);
    });
    element.addEventListener("click", event => {
      if (event.target.closest("[data-do=stop]")) trigger("select", {stop: true});
    });
    if ([...new URLSearchParams(location.search).keys()].some(name => !name.startsWith("__")))
      trigger("select", {link: location.search});
    else if (props.running) trigger("change");
  };

  // the choice among the networks: each has its own page, and the link goes along
  const networks = async label => {
    const answer = await fetch(`${site()}/networks/list.json`);
    if (!answer.ok) return;
    const list = await answer.json(), here = root().slice(site().length + 1);
    const select = label.querySelector("select");
    const option = (text, address) => new Option(text, address, false, address.replace(/\/$/, "") === here);
    select.replaceChildren(
      ...list.map(({name, address, words}) => option([name, words].filter(Boolean).join(": "), address)),
      option("others ...", "networks/"),
    );
    select.onchange = async () => {
      const address = `${site()}/${select.value}`;
      select.disabled = true;
      await fetch(address).catch(() => {}); // made first: where a page does not come at once, Gradio reloads this one
      select.disabled = false;
      location.href = `${address}${location.search}`;
    };
    label.hidden = false;
  };

  const header = element => {
    networks(element.querySelector("#network")).catch(() => {}); // there is no choice without a list
    element.addEventListener("click", event => {
      const button = event.target.closest("[data-do=link]");
      if (button) copy(button, location.href);
    });
  };

  return {view, tabs, picker, controls, status, header};
})();
