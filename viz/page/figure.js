// The figures of plotly: their library, their size, what the pointer and a click mean, and two of them on one scale.

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
    fit(figure, own);
  };
  const draw = async (Plotly, {data, layout}) => {
    layout.font = dressed(figure);
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
