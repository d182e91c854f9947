// Times of the page until its content is on the screen, in milliseconds of the page's clock.
window.bench = (() => {
  const QUIET_MS = 400; // the page is finished after this time without changes, which is not counted
  const lens = ".lens.open";

  // resolves with the time at which the next frame is on the screen
  const painted = () => new Promise(resolve =>
    requestAnimationFrame(() => {
      const {port1, port2} = new MessageChannel();
      port1.onmessage = () => resolve(performance.now());
      port2.postMessage(null);
    }));

  // from the start of the navigation until each visible view of the open lens has its figure or its HTML
  const drawn = view => view.querySelector(".mlayer :is(path, image)") ?? view.querySelector("[data-part=html] *");
  const opened = new Promise(resolve => {
    const observer = new MutationObserver(() => {
      const seen = view => view.getBoundingClientRect().top < innerHeight;
      const views = [...document.querySelectorAll(`${lens} .view`)].filter(seen);
      if (!views.length || !views.every(drawn)) return;
      observer.disconnect();
      painted().then(resolve);
    });
    observer.observe(document, {subtree: true, childList: true});
  });

  // from the next click until the last changed view of the open lens is on the screen
  let repainted;
  const watch = () => {
    const changed = new Set(), observers = [];
    let clicked, last, quiet;
    addEventListener("click", event => { clicked = event.timeStamp; }, {once: true, capture: true});
    repainted = new Promise(resolve => {
      const finish = () => {
        observers.forEach(observer => observer.disconnect());
        resolve({seconds: (last - clicked) / 1000, views: [...changed]});
      };
      const note = view => {
        if (clicked === undefined) return;
        changed.add(view.dataset.view);
        clearTimeout(quiet);
        painted().then(now => {
          last = now;
          clearTimeout(quiet);
          quiet = setTimeout(finish, QUIET_MS);
        });
      };
      for (const view of document.querySelectorAll(`${lens} .view`)) {
        const observer = new MutationObserver(() => note(view));
        observer.observe(view, {subtree: true, childList: true, attributes: true, characterData: true});
        observers.push(observer);
      }
    });
  };
  const settled = () => !document.querySelector(`${lens} .view[aria-busy=true]`);

  return {opened, watch, repainted: () => repainted, settled};
})();
