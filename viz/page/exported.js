// Figures and drawings as files: on white, with the title above and the facts below; several side by side.
window.exported = (() => {
  const EDGE = 16, NARROWEST = 480, INK = "#1c2430", SCALE = 3; // pixels of a PNG per pixel of the page
  const TITLE = 18, WHICH = 15, CAPTION = 13, LINE = 1.35;
  const escaped = text => new XMLSerializer().serializeToString(new Text(text));
  const inlined = blob => new Promise(resolve => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(blob);
  });

  // the file contains the font of the page, which other machines may not have
  let faces;
  const fonts = family => (faces ??= Promise.all([...document.styleSheets].flatMap(sheet => [...sheet.cssRules]
    .filter(rule => rule instanceof CSSFontFaceRule && family.startsWith(rule.style.fontFamily))
    .map(async rule => {
      const [, address] = rule.style.src.match(/url\("?(.*?)"?\)/);
      const file = await fetch(new URL(address, sheet.href ?? document.baseURI));
      return rule.cssText.replace(/url\(.*?\)/, `url(${await inlined(await file.blob())})`);
    }))).then(rules => rules.join("\n")));

  const plotted = async (Plotly, figure) => {
    const width = Math.max(NARROWEST, figure.clientWidth), shape = figure.shape;
    const height = shape ? Math.round(Math.min(shape.ratio * width + shape.extra, shape.most)) : figure.clientHeight;
    const layout = {...figure.layout, paper_bgcolor: "white", font: {...figure.layout.font, color: INK}};
    const svg = await Plotly.toImage({data: figure.data, layout}, {format: "svg", width, height, imageDataOnly: true});
    return {width, height, svg};
  };

  // calls `look` while the page has its light theme
  const inLight = look => {
    const {classList} = document.body, dark = classList.contains("dark");
    classList.add("still");
    classList.remove("dark");
    try { return look(); }
    finally {
      classList.toggle("dark", dark);
      document.body.getBoundingClientRect();
      classList.remove("still");
    }
  };
  // HTML with its computed styles, without the browser's defaults and each style only once. Widths of borders are always
  // included, as their default depends on the border's style; variables are not, as computed styles have their values
  const UNSEEN = /block|inline|^--|^(cursor|transition|animation|pointer-events|user-select|will-change)/, ALWAYS = /^border-.*-width$/;
  let parts = 0;
  const styled = element => {
    const frame = document.createElement("iframe"), defaults = new Map();
    frame.style.cssText = "position: fixed; width: 0; height: 0; border: 0";
    document.body.append(frame);
    const plain = ({namespaceURI, localName}) => {
      if (!defaults.has(localName)) {
        const made = frame.contentDocument.createElementNS(namespaceURI, localName);
        frame.contentDocument.body.append(made);
        const looks = frame.contentWindow.getComputedStyle(made);
        defaults.set(localName, Object.fromEntries([...looks].map(name => [name, looks.getPropertyValue(name)])));
        made.remove();
      }
      return defaults.get(localName);
    };
    // a class for each different style, unique in the file
    const names = new Map(), prefix = `look${++parts}-`;
    const nameOf = look => {
      if (!names.has(look)) names.set(look, `${prefix}${names.size}`);
      return names.get(look);
    };
    const all = one => [one, ...one.querySelectorAll("*")];
    const copy = element.cloneNode(true), copies = all(copy);
    const looks = (own, over, usual) => [...own].filter(name => !UNSEEN.test(name)).map(name => [name, own.getPropertyValue(name)])
      .filter(([name, value]) => ALWAYS.test(name) || value !== usual[name] || value !== over.getPropertyValue(name))
      .map(([name, value]) => `${name}: ${value}`).join("; ");
    // texts of ::before and ::after become elements
    const written = (one, own, side) => {
      const made = getComputedStyle(one, side), [, text] = made.content.match(/^"(.*)"$/) ?? [];
      if (!text || made.display === "none") return [];
      const span = Object.assign(document.createElement("span"), {textContent: text});
      span.className = nameOf(looks(made, own, plain(span)));
      return [span];
    };
    all(element).forEach((one, i) => {
      const [own, over] = [one, one.parentElement].map(each => getComputedStyle(each));
      for (const name of copies[i].getAttributeNames()) if (/^(style|title|aria-|data-)/.test(name)) copies[i].removeAttribute(name);
      copies[i].setAttribute("class", nameOf(looks(own, over, plain(one))));
      copies[i].prepend(...written(one, own, "::before"));
      copies[i].append(...written(one, own, "::after"));
    });
    copy.style.zoom = "1";
    frame.remove();
    const rules = [...names].map(([look, name]) => `.${name} { ${look} }`).join("\n");
    return `<style>${escaped(rules)}</style>${new XMLSerializer().serializeToString(copy)}`;
  };
  const drawn = html => inLight(() => {
    const {scrollWidth: width, scrollHeight: height} = html;
    return {width, height, svg: `<foreignObject width="${width}" height="${height}">${styled(html)}</foreignObject>`};
  });

  // one SVG with title, panes and caption below each other; texts are broken into lines
  const composed = (title, parts, caption, family, faces) => {
    const pen = document.createElement("canvas").getContext("2d"), marks = [];
    const write = (text, size, weight, x, top, width) => {
      pen.font = `${weight} ${size}px ${family}`;
      const lines = [];
      for (const word of text.split(" ")) {
        const longer = `${lines.at(-1)} ${word}`;
        if (lines.length && pen.measureText(longer).width <= width) lines[lines.length - 1] = longer;
        else lines.push(word);
      }
      lines.forEach((line, i) => marks.push(
        `<text x="${x}" y="${top + size + LINE * size * i}" font-size="${size}" font-weight="${weight}">${escaped(line)}</text>`));
      return top + LINE * size * lines.length;
    };
    const width = parts.reduce((sum, part) => sum + part.width + EDGE, EDGE), room = width - 2 * EDGE;
    const left = parts.map((_, i) => parts.slice(0, i).reduce((sum, part) => sum + part.width + EDGE, EDGE));
    let y = write(title, TITLE, 700, EDGE, EDGE, room) + 4;
    y = Math.max(...parts.map(({which, width}, i) => which ? write(which, WHICH, 400, left[i], y, width) : y)) + 8;
    parts.forEach(({svg, width, height}, i) =>
      marks.push(`<svg x="${left[i]}" y="${y}" width="${width}" height="${height}">${svg}</svg>`));
    y = write(caption.replaceAll(" · ", "\u00a0· "), CAPTION, 400, EDGE, y + Math.max(...parts.map(({height}) => height)) + 8, room);
    const height = Math.ceil(y + EDGE);
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"
      font-family="${escaped(family).replaceAll('"', "'")}" fill="${INK}"><style>${faces}</style>
      <rect width="100%" height="100%" fill="white"/>${marks.join("")}</svg>`;
    return {svg, width, height};
  };

  const painted = async ({svg, width, height}) => {
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`; // with a blob URL, Chromium would not allow to read the pixels
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), {width: SCALE * width, height: SCALE * height});
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise(resolve => canvas.toBlob(resolve));
  };

  // panes: each {which, figure, html}, of which the figure or the HTML is filled
  const file = async (Plotly, panes, title, caption, format) => {
    const family = getComputedStyle(panes[0].figure).fontFamily, parts = [];
    for (const {which, figure, html} of panes) {
      const part = figure.data ? await plotted(Plotly, figure) : drawn(html);
      parts.push({...part, which: panes.length > 1 ? which : ""});
    }
    const whole = composed(title, parts, caption, family, await fonts(family));
    return format === "png" ? painted(whole) : new Blob([whole.svg], {type: "image/svg+xml"});
  };
  return Object.assign(file, {fonts});
})();
