"""
==============================
Summaries through an API
==============================

The same transformer asks a language model when it gets the name of a vendor. This example needs
no key: it starts a small server on this computer that speaks OpenAI's chat completions, and is
slow and unreliable on purpose. For a real vendor leave `base_url` out and set the environment
variable ``OPENAI_API_KEY``.
"""

import json
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sklearn_ext import TextSummarizer

# %%
# A server that is sometimes full
# -------------------------------
# It takes 50 ms for an answer, and refuses every fourth request with status 429.


class Server(BaseHTTPRequestHandler):
    """Chat completions that give the first sentence back."""

    protocol_version = "HTTP/1.1"
    n_requests = 0

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Server.n_requests += 1
        if Server.n_requests % 4 == 0:
            self.answer(429, {"error": {"message": "full"}})
            return
        time.sleep(0.05)
        text = body["messages"][1]["content"].splitlines()[1]
        message = {"role": "assistant", "content": text.split(". ")[0] + "."}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        usage = {"prompt_tokens": len(text) // 4, "completion_tokens": 9, "total_tokens": 0}
        self.answer(200, {"id": "1", "object": "chat.completion", "created": 0, "model": "small",
                          "choices": choices, "usage": usage})  # fmt: skip

    def answer(self, status, content):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"

# %%
# What it would cost, before a single request
# -------------------------------------------

texts = [f"Report {i} is about the harbour. Nothing else is of interest in it." for i in range(40)]
folder = tempfile.TemporaryDirectory()
summarizer = TextSummarizer(
    "openai",
    model="small",
    base_url=url,
    concurrency=8,
    backoff=0.05,
    cache=folder.name,
    prices=(0.15, 0.60),
    on_error="extractive",
).fit(texts)
print(summarizer.estimate(texts))

# %%
# Eight at a time, refusals and all
# ---------------------------------

start = time.perf_counter()
summaries = summarizer.transform(texts)
print(f"{len(summaries)} summaries in {time.perf_counter() - start:.2f} s: {summaries[0]!r}, ...")
print(summarizer.usage_, "failures:", len(summarizer.failures_))

# %%
# Again, from the cache
# ---------------------

summarizer.transform(texts)
print(summarizer.usage_)
assert summarizer.usage_.requests == 0

server.shutdown()
server.server_close()
folder.cleanup()
