// Browsers start no worker from a file: page. The search then runs in a hidden frame instead, which
// is a window of its own: messages go to and fro as a worker's do.
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.inner = frame.contentWindow;
      this.inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      const home = new URL(address, location);
      const load = (script) =>
        new Promise((resolve, reject) => {
          const element = this.inner.document.createElement("script");
          element.src = new URL(script, home).href;
          element.onload = resolve;
          element.onerror = reject;
          this.inner.document.head.append(element);
        });
      this.inner.importScripts = (...scripts) =>
        scripts.reduce((before, script) => before.then(() => load(script)), Promise.resolve());
      this.ready = load(home);
    }
    postMessage(data) {
      this.ready.then(() => this.inner.dispatchEvent(new MessageEvent("message", { data })));
    }
    terminate() {
      this.inner.frameElement.remove();
    }
  };
