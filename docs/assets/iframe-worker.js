/* Browsers start no Worker from a file. Where the site is read from the disk, the search runs in a hidden frame instead. */
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super()
      this.queue = []
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      const inside = (this.inside = frame.contentWindow)
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      const script = inside.document.createElement("script")
      script.src = new URL(url, document.baseURI).href
      script.onload = () => {
        this.ready = true
        this.queue.splice(0).forEach(data => this.postMessage(data))
      }
      inside.document.body.appendChild(script)
    }
    postMessage(data) {
      if (this.ready) this.inside.dispatchEvent(new inside_event(this.inside, data))
      else this.queue.push(data)
    }
  }
  const inside_event = function (inside, data) {
    return new inside.MessageEvent("message", { data })
  }
  window.Worker = window.IFrameWorker
}
