// What of the texts on a page, or in a file of a figure, cannot be read: sentences, none where all can.
(() => {
  const SLACK = 2; // pixels
  const told = text => `"${text.textContent.trim().slice(0, 60)}"`;
  // the corners of a text of an SVG, without the empty edges of its line
  const corners = text => {
    const {x, y, width, height} = text.getBBox(), matrix = text.getScreenCTM(), edge = Math.min(height, 16) / 6;
    return [[x + 1, y + edge], [x + width - 1, y + edge], [x + width - 1, y + height - edge], [x + 1, y + height - edge]]
      .map(([a, b]) => [matrix.a * a + matrix.c * b + matrix.e, matrix.b * a + matrix.d * b + matrix.f]);
  };
  const apart = (one, other) => [one, other].some(shape => shape.some(([x, y], i) => {
    const [u, v] = shape[(i + 1) % shape.length];
    const ends = [one, other].map(each => each.map(([a, b]) => (v - y) * a - (u - x) * b));
    return Math.max(...ends[0]) <= Math.min(...ends[1]) || Math.max(...ends[1]) <= Math.min(...ends[0]);
  }));
  const wrongIn = drawing => {
    const edges = drawing.getBoundingClientRect(), texts = [...drawing.querySelectorAll("text")]
      .filter(text => text.textContent.trim() && text.checkVisibility({opacityProperty: true}))
      .map(text => ({text, shape: corners(text)}));
    const cut = texts.filter(({shape}) => shape.some(([x, y]) =>
      x < edges.left - SLACK || x > edges.right + SLACK || y < edges.top - SLACK || y > edges.bottom + SLACK));
    const over = texts.flatMap((one, i) => texts.slice(i + 1).filter(other => !apart(one.shape, other.shape))
      .map(other => `${told(one.text)} is over ${told(other.text)}`));
    return [...cut.map(({text}) => `${told(text)} is cut`), ...over];
  };
  const of = (view, found) => found.map(words => `${view.dataset.view}: ${words}`);
  const views = () => [...document.querySelectorAll(".lens.open .view")];
  const figures = view => [...view.querySelectorAll(".figure:not([hidden])")];

  // all figures of the open lens are drawn, as wide as they are on the page now
  const drawn = async (these = views()) => {
    for (const view of these) {
      view.scrollIntoView();
      for (const until = performance.now() + 20000; !figures(view).every(figure => Math.abs(figure._fullLayout?.width - figure.clientWidth) < 1);) {
        if (performance.now() > until) throw new Error(`${view.dataset.view} is not drawn`);
        await new Promise(requestAnimationFrame);
      }
    }
  };
  // texts of HTML of which something is outside of what does not scroll
  const clipped = root => {
    const found = [], walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT), range = new Range();
    for (let text; (text = walker.nextNode());) {
      if (!text.data.trim() || !text.parentElement.checkVisibility({opacityProperty: true}) || text.parentElement.closest("svg")) continue;
      range.selectNodeContents(text);
      const {left, right, top, bottom} = range.getBoundingClientRect();
      for (let over = text.parentElement; over !== root.parentElement; over = over.parentElement) {
        const {overflowX, overflowY} = getComputedStyle(over), edges = over.getBoundingClientRect();
        if ([overflowX, overflowY].some(kind => kind === "auto" || kind === "scroll")) break;
        const hides = kind => kind === "hidden" || kind === "clip";
        if ((hides(overflowX) && (left < edges.left - SLACK || right > edges.right + SLACK)) ||
            (hides(overflowY) && (top < edges.top - SLACK || bottom > edges.bottom + SLACK))) found.push(`${told(text)} is cut`);
      }
    }
    return found;
  };
  const unreadable = async () => {
    await drawn();
    const wide = document.documentElement.scrollWidth;
    return [
      ...(wide > innerWidth ? [`the page is ${wide} pixels wide, of ${innerWidth}`] : []),
      ...clipped(document.querySelector(".lens.open")), ...clipped(document.querySelector("#specimen")),
      ...views().flatMap(view => [...figures(view), ...view.querySelectorAll(".html svg")]
        .filter(one => one.checkVisibility()).flatMap(one => of(view, wrongIn(one)))),
    ];
  };
  // each view in a lecture: nothing is cut nor over another, the picture's corner is free, and tiles fill two thirds at least
  const FILLED = 2 / 3;
  const tiled = figure => figure.layout.annotations?.length > 1 && figure._fullLayout.yaxis.scaleanchor;
  const across = figure => {
    const parts = [...figure.querySelectorAll("image")].map(one => one.getBoundingClientRect()).filter(({width}) => width > 1);
    return (Math.max(...parts.map(({right}) => right)) - Math.min(...parts.map(({left}) => left))) / figure.getBoundingClientRect().width;
  };
  const overlap = (one, other) => one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
  const inLecture = async () => {
    const found = [];
    document.documentElement.requestFullscreen = async () => {}; // a window that fills the screen could not be resized
    for (const view of views()) {
      const button = view.querySelector("[data-do=large]");
      button.click();
      await drawn([view]);
      const corner = document.querySelector("#specimen").getBoundingClientRect();
      const words = [...view.querySelectorAll("h3, .question, .take button")].map(one => [one, one.getBoundingClientRect()]);
      found.push(...of(view, [
        ...(view.scrollWidth > view.clientWidth ? [`is ${view.scrollWidth} pixels wide, of ${view.clientWidth}`] : []),
        ...clipped(view), ...figures(view).flatMap(wrongIn),
        ...words.filter(([, place]) => overlap(place, corner)).map(([one]) => `${told(one)} is under the picture`),
        ...figures(view).filter(tiled).map(across).filter(part => part < FILLED).map(part => `tiles fill ${part} of the width`),
      ]));
      button.click();
    }
    return found;
  };
  const unreadableFiles = async () => {
    await drawn();
    const found = [];
    for (const view of views()) {
      const panes = figures(view).map(figure => ({which: "Now: depth: 9a · selected class: automobile", figure}));
      if (!panes.length) continue;
      const caption = "picture: airplane-3 · answer: airplane · selected class: airplane · ".repeat(5);
      const file = await exported(Plotly, panes, view.querySelector("h3").textContent, caption, "svg");
      const place = document.body.appendChild(document.createElement("div"));
      place.style.cssText = "position: absolute; left: 0; top: 0";
      place.innerHTML = (await file.text()).replace(/@font-face *{.*?}/gs, ""); // the page has those fonts
      found.push(...of(view, wrongIn(place.firstElementChild)));
      place.remove();
    }
    return found;
  };
  // what of the open lens is not laid out as all are: texts in four sizes and one family, cards of a row of one height,
  // the first figure high on the page
  const SIZES = ["13px", "15px", "18px", "24px"], HIGHEST = 260;
  const uneven = async () => {
    const texts = [...document.querySelectorAll(":is(#header, #specimen, #lenses) *")].filter(one => one.checkVisibility() &&
      !one.closest("#upload, math") && [...one.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim()));
    const odd = texts.filter(one => {
      const {fontSize, fontFamily} = getComputedStyle(one);
      return !SIZES.includes(fontSize) || !/^"?IBM Plex/.test(fontFamily);
    }).map(one => `${told(one)} has another font, ${getComputedStyle(one).fontSize} ${getComputedStyle(one).fontFamily}`);
    const top = ({firstElementChild: card}) => card.getBoundingClientRect();
    const rows = [...document.querySelectorAll(".lens.open .views")].flatMap(row => {
      const cards = [...row.children].map(top), lines = Object.values(Object.groupBy(cards, card => card.top));
      return lines.filter(line => line.some(card => Math.abs(card.height - line[0].height) > 1));
    }).map(line => `cards of a row are ${line.map(({height}) => height)} high`);
    const first = [...views()[0].querySelectorAll(".figure:not([hidden]), .html:not(:empty)")].map(one => one.getBoundingClientRect().top + scrollY);
    return [...odd, ...rows, ...first.filter(y => y >= HIGHEST).map(y => `the first figure is ${y} pixels down`)];
  };
  // what stays wrong: a figure may still be drawn
  const lasting = find => async () => {
    let found;
    for (let i = 0; i < 10 && (found = await find()).length; i += 1) await new Promise(done => setTimeout(done, 100));
    return found;
  };
  return Object.fromEntries([unreadable, unreadableFiles, uneven, inLecture].map(find => [find.name, lasting(find)]));
})()
