// Draws the figures of a report one after the other, so the report can be read meanwhile.
const MAX_HEIGHT = 280; // pixels: six views fit on a sheet of paper
const draw = figure => {
  const {data, layout} = JSON.parse(figure.nextElementSibling.textContent);
  const width = figure.clientWidth, shape = layout.meta;
  const own = shape ? Math.min(shape.ratio * width + shape.extra, shape.most) : layout.height ?? 320;
  const height = figure.closest(".views") ? Math.min(MAX_HEIGHT, own) : own;
  const {fontFamily, color} = getComputedStyle(document.body);
  Object.assign(layout, {width, height, font: {family: fontFamily, size: 13, color}});
  layout.hoverlabel.font.family = fontFamily;
  return Plotly.newPlot(figure, data, layout, {displayModeBar: false, doubleClick: false, showTips: false});
};
addEventListener("load", async () => {
  for (const figure of document.querySelectorAll(".report .figure")) {
    await draw(figure);
    await new Promise(resolve => setTimeout(resolve));
  }
  document.body.dataset.drawn = "all";
});
addEventListener("beforeprint", () => { for (const details of document.querySelectorAll("details")) details.open = true; });
