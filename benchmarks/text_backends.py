"""Documents a second through an API: threads against one document after another.

A server on the loopback answers each request after 200 ms. Compared are the official client in
a plain loop, which is how scikit-llm works, and `TextSummarizer("openai")` with 1 and with 16
threads, on the same documents, in the order A B C A B C. Then what a second run asks for when
there is a cache, and how many requests are sent to a server that refuses a third of them.

Target: with 16 threads at least 14 times the documents a second of the sequential loop.
"""

import itertools
import json
import statistics
import tempfile
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
from _measure import argument_parser

from sklearn_ext import TextSummarizer

TARGET = 14.0


class Handler(BaseHTTPRequestHandler):
    """Chat completions that answer the same after a while, or refuse."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    latency, refuse_each, numbers = 0.2, 0, itertools.count(1)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        number = next(Handler.numbers)
        time.sleep(self.latency)
        if self.refuse_each and number % self.refuse_each == 0:
            self.answer(429, {"error": {"message": "full"}})
            return
        message = {"role": "assistant", "content": "A summary."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 3, "total_tokens": 103}
        head = {"id": "1", "object": "chat.completion", "created": 0, "model": "small"}
        self.answer(200, head | {"choices": [choice], "usage": usage})

    def answer(self, status, content):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@contextmanager
def serving():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def in_a_loop(url, texts):
    """Ask for one document after another by the official client."""
    with openai.OpenAI(api_key="none", base_url=url) as client:
        for text in texts:
            messages = [{"role": "user", "content": f"Summarize: {text}"}]
            client.chat.completions.create(model="small", messages=messages)


def summarizer(url, **settings):
    return TextSummarizer("openai", model="small", base_url=url, **settings).fit(["a"])


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def print_throughput(url, n_documents, repeats):
    texts = [f"Document {i}. It has two sentences." for i in range(n_documents)]
    few = texts[: max(n_documents // 16, 4)]  # what takes one after another a while
    ways = {
        "official client in a loop": (lambda: in_a_loop(url, few), len(few)),
        "TextSummarizer, 1 thread": (
            lambda: summarizer(url, concurrency=1).transform(few),
            len(few),
        ),
        "TextSummarizer, 16 threads": (
            lambda: summarizer(url, concurrency=16).transform(texts),
            len(texts),
        ),
    }
    in_a_loop(url, few[:1])  # warm-up: imports
    times = {name: [] for name in ways}
    for _ in range(repeats):
        for name, (function, _) in ways.items():
            times[name].append(seconds(function))
    rates = {name: ways[name][1] / statistics.median(found) for name, found in times.items()}
    base = rates["official client in a loop"]
    print("| way | documents a second | times the loop |\n| --- | --- | --- |")
    for name, rate in rates.items():
        print(f"| {name} | {rate:.1f} | {rate / base:.1f} |")
    return rates["TextSummarizer, 16 threads"] / base


def print_requests(url):
    texts = [f"Document {i}. It has two sentences." for i in range(60)]
    with tempfile.TemporaryDirectory() as folder:
        Handler.refuse_each = 3
        fitted = summarizer(url, concurrency=16, cache=folder, backoff=0.1, on_error="warn")
        fitted.transform(texts)
        first = fitted.usage_
        print(f"\nserver that refuses a third: {first.requests} requests for {len(texts)} "
              f"documents, {len(fitted.failures_)} failures")  # fmt: skip
        Handler.refuse_each = 0
        fitted.transform(texts)
        print(f"second run: {fitted.usage_.requests} requests, {fitted.usage_.cached} cached")


def main():
    args = argument_parser(__doc__).parse_args()
    with serving() as url:
        found = print_throughput(url, 96 if args.quick else 320, args.repeats)
        print_requests(url)
    print(f"\nopenai {openai.__version__}")
    verdict = "reached" if found >= TARGET else "missed"
    print(f"target: at least {TARGET:.0f} times the loop; found {found:.1f}: {verdict}")


if __name__ == "__main__":
    main()
