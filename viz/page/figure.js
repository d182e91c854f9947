// Figures of plotly: library, size, pointer and clicks, and a common scale for two figures.

const HOVER_MS = 1000; // the time for which an old figure stays, greyed, while the new one is measured
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
plotly().catch(() => {}); // starts before the first figure; those who await it get the error
let dress; // style of all figures of an answer, read once: each reading costs a layout of the page
const dressed = element => {
  if (!dress) {
    const {fontFamily: family, color} = getComputedStyle(element);
    dress = {family, size: 13, color};
  }
  return dress;
};
const LECTURE = 1.5; // enlargement in lectures, as in the style sheet
const fit = (figure, own) => {
  const shape = figure.shape, width = figure.clientWidth;
  const large = figure.closest(".lecture") ? 0.75 * window.innerHeight / LECTURE : 0;
  // whole pixels: plotly's height must equal the browser's
  const high = Math.round(shape ? Math.min(shape.ratio * width + shape.extra, large || shape.most) : Math.max(own, large));
  figure.style.height = `${high}px`;
  figure.style.marginBottom = large ? `${(LECTURE - 1) * high}px` : "";
};

// the hover text of a point whose patch is sent as numbers
const PLACE = /\(\d+, \d+\)/;
const inNumbers = ({customdata, data}) =>
  data.hovertemplate?.match(/patch \(.*?\)/)?.[0].replace(/%\{customdata\[(\d)\]\}/g, (_, i) => customdata?.[i]);

// mark the patch under the pointer, such as "(3, 1)", in the picture
const mark = place => {
  for (const marked of document.querySelectorAll(".picker .pointed")) marked.classList.remove("pointed");
  if (place) document.querySelector(`.picker [data-place="${place}"]`)?.classList.add("pointed");
};
const pointAt = point => {
  const text = point && [point.hovertext ?? point.text, point.y, inNumbers(point)].find(words => PLACE.test(words));
  mark(text && text.match(PLACE)[0]);
};

// a pane of a view: its text, and a figure with clickable points, or HTML
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
    buttons()[here]?.focus({preventScroll: true}); // for repeated presses
  };
  const empty = () => { if (figure.data) window.Plotly.purge(figure); figure.replaceChildren(); figure.hidden = true; };
  // its space on the page, before it is drawn
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
    // drawn in a hidden lens, it has plotly's default width
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

// common colour scale and axes for two figures of a view; returns a text about them
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
