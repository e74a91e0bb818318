"""Documents a second through an API: threads against one document after another.

A server on the loopback, in a process of its own, answers each request after 200 ms. Compared are
the official client in a plain loop, which is how scikit-llm works, and `TextSummarizer("openai")`
with 1 and with 16 threads, on the same documents, in the order A B C A B C. Then the requests to
a server that refuses a third of them, and those of a second run with a cache.

Target: with 16 threads at least 14 times the documents a second of the sequential loop. Seen on
two shared cores under load: 4.7, 4.6 and 73.9 documents a second, 15.8 times the loop; 89
requests for 60 documents where a third is refused, no failure, and 0 in the second run.
"""

import itertools
import json
import multiprocessing
import statistics
import tempfile
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
from _measure import argument_parser, print_heading, print_table, print_target

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


def serve(pipe, refuse_each):
    Handler.refuse_each = refuse_each
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pipe.send(server.server_port)
    server.serve_forever()


@contextmanager
def serving(refuse_each=0):
    """Run the server in a process of its own, where it takes no time from its clients."""
    inner, outer = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(inner, refuse_each), daemon=True)
    process.start()
    yield f"http://127.0.0.1:{outer.recv()}/v1"
    process.terminate()
    process.join()


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
    few = texts[: max(n_documents // 32, 4)]  # what takes one after another a while
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
    rows = ((name, f"{rate:.1f}", f"{rate / base:.1f}") for name, rate in rates.items())
    print_table(("way", "documents a second", "times the loop"), rows)
    return rates["TextSummarizer, 16 threads"] / base


def print_requests(url):
    texts = [f"Document {i}. It has two sentences." for i in range(60)]
    with tempfile.TemporaryDirectory() as folder:
        fitted = summarizer(url, concurrency=16, cache=folder, backoff=0.1, on_error="extractive")
        fitted.transform(texts)
        sent, failed = fitted.usage_.requests, len(fitted.failures_)
        print("A server that refuses a third, 60 documents:", end=" ")
        print(f"{sent} requests and {failed} failures at first,", end=" ")
        fitted.transform(texts)
        print(f"then {fitted.usage_.requests} requests, {fitted.usage_.cached} from the cache.\n")


def main():
    args = argument_parser(__doc__).parse_args()
    print_heading("Documents a second through an API", args, ("openai",))
    with serving() as url:
        found = print_throughput(url, 96 if args.quick else 640, args.repeats)
    with serving(refuse_each=3) as url:
        print_requests(url)
    print_target(f"at least {TARGET:.0f} times the loop ({found:.1f})", found >= TARGET, args.quick)


if __name__ == "__main__":
    main()
