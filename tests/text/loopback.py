"""A real HTTP server on the loopback that speaks the formats of all vendors, and fails on demand.

The packages of the vendors run against it unchanged: nothing of them is replaced.
"""

import json
import re
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

KEY = "sk-planted-Zq7-do-not-leak"
FENCED = re.compile(r"<(document-\d+)>\n(.*?)\n</\1>", re.DOTALL)


class Fault:
    """What a server does instead of answering."""

    def __init__(self, status=None, *, headers=(), body=None, kind="status"):
        self.status, self.headers, self.kind = status, dict(headers), kind
        self.body = body if body is not None else {"error": {"message": f"fault {status}"}}


DRIP = Fault(kind="drip")
CUT = Fault(kind="cut")
MALFORMED = Fault(kind="malformed")
EMPTY = Fault(kind="empty")
FILTERED = Fault(kind="filtered")


def status_fault(status, **headers):
    return Fault(status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def first_sentence(text):
    """What this server takes for a summary."""
    return re.split(r"(?<=[.!?。])\s*", text.strip())[0][:200] or "nothing"


class Loopback:
    """Server with a plan of faults and a record of what it was asked."""

    def __init__(self, *, fault=lambda number, text: None, latency=0.0, summary=first_sentence):
        self.fault, self.latency, self.summary = fault, latency, summary
        self.lock = threading.Lock()
        self.asked = Counter()  # how often for each document
        self.bodies, self.headers, self.jobs = [], [], {}
        self.n_drips_finished = 0

    @property
    def n_requests(self):
        return len(self.bodies)

    def note(self, text, body, headers):
        """Record a request; return its number and how often this document was asked before."""
        with self.lock:
            self.bodies.append(body)
            self.headers.append(headers)
            self.asked[text] += 1
            return len(self.bodies) - 1


@contextmanager
def serving(**settings):
    """Run a server; give it, with its address as `url`."""
    loopback = Loopback(**settings)

    class Handler(_Handler):
        pass

    Handler.loopback = loopback
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    loopback.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield loopback
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.send_json(200, self.loopback.jobs[self.path.split("?")[0].rpartition("/")[2]])

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = read_body(raw, self.headers.get("Content-Type", ""))
        answer, text = self.format(body)
        number = self.loopback.note(text, body, dict(self.headers))
        time.sleep(self.loopback.latency)
        fault = self.loopback.fault(number, text)
        if fault is None:
            self.answer(answer(self.loopback.summary(text)))
        else:
            self.fail(fault, answer)

    def format(self, body):
        """Find the format by the path: the function that builds an answer, and the text."""
        for ending, (answer, text) in FORMATS.items():
            if self.path.split("?")[0].endswith(ending):
                return answer, text(body)
        return (lambda summary: {}), ""

    def answer(self, content):
        if "jobs" not in self.path:
            self.send_json(200, content)
            return
        number = str(len(self.loopback.jobs))
        self.loopback.jobs[number] = content
        location = f"{self.loopback.url}/language/analyze-text/jobs/{number}"
        self.send_json(202, None, {"operation-location": location})

    def fail(self, fault, answer):
        if fault.kind == "status":
            self.send_json(fault.status, fault.body, fault.headers)
        elif fault.kind == "malformed":
            self.send_raw(200, b'{"choices": [', {})
        elif fault.kind == "empty":
            self.answer(answer(""))
        elif fault.kind == "filtered":
            self.answer(answer(None))
        else:
            self.send_partly(drip=fault.kind == "drip")

    def send_partly(self, *, drip):
        """Promise more bytes than are sent; drop the connection or let them drip."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"choices"')
        self.close_connection = True
        for _ in range(600 if drip else 0):  # half a minute, unless the client hangs up
            time.sleep(0.05)
            try:
                self.wfile.write(b" ")
            except OSError:
                return
        self.loopback.n_drips_finished += drip

    def send_json(self, status, content, headers=None):
        data = b"" if content is None else json.dumps(content).encode()
        self.send_raw(status, data, headers or {})

    def send_raw(self, status, data, headers):
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def read_body(raw, content_type):
    if "json" in content_type:
        return json.loads(raw)
    return {name: values[0] for name, values in parse_qs(raw.decode()).items()}


# The formats: how an answer looks (None as summary means refused), and where the text stands.


def fenced_text(prompt):
    """Text between the last two delimiters of a prompt."""
    return FENCED.findall(prompt)[-1][1]


def openai_answer(summary):
    message = {"role": "assistant", "content": summary}
    finish = "content_filter" if summary is None else "stop"
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}]
        if summary != ""
        else [],
        "usage": {"prompt_tokens": 50, "completion_tokens": 7, "total_tokens": 57},
    }


def anthropic_answer(summary):
    return {
        "id": "1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": summary}] if summary else [],
        "stop_reason": "refusal" if summary is None else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 50, "output_tokens": 7},
    }


def cohere_answer(summary):
    content = [{"type": "text", "text": summary}] if summary else []
    tokens = {"input_tokens": 50, "output_tokens": 7}
    return {
        "id": "1",
        "finish_reason": "ERROR_TOXIC" if summary is None else "COMPLETE",
        "message": {"role": "assistant", "content": content},
        "usage": {"billed_units": tokens, "tokens": tokens},
    }


def azure_answer(summary):
    error = {"id": "0", "error": {"code": "InvalidDocument", "message": "refused", "target": ""}}
    parts = [{"text": summary, "contexts": []}] if summary else []
    document = {"id": "0", "summaries": parts, "warnings": []}
    results = {
        "documents": [] if summary is None else [document],
        "errors": [error] if summary is None else [],
        "modelVersion": "latest",
    }
    task = {
        "kind": "AbstractiveSummarizationLROResults",
        "taskName": "0",
        "lastUpdateDateTime": "2026-01-01T00:00:00Z",
        "status": "succeeded",
        "results": results,
    }
    return {
        "jobId": "0",
        "status": "succeeded",
        "createdDateTime": "2026-01-01T00:00:00Z",
        "lastUpdatedDateTime": "2026-01-01T00:00:00Z",
        "errors": [],
        "tasks": {"completed": 1, "failed": 0, "inProgress": 0, "total": 1, "items": [task]},
    }


def clova_answer(summary):
    if summary is None:
        return {"status": {"code": "40000", "message": "refused by content filter"}, "result": None}
    status = {"code": "20000", "message": "OK"}
    return {"status": status, "result": {"text": summary, "inputTokens": 50}}


def meaningcloud_answer(summary):
    code = "200" if summary is None else "0"
    return {"status": {"code": code, "msg": "OK", "credits": "1"}, "summary": summary}


FORMATS = {
    "/chat/completions": (openai_answer, lambda body: fenced_text(body["messages"][1]["content"])),
    "/v1/messages": (anthropic_answer, lambda body: fenced_text(body["messages"][0]["content"])),
    "/v2/chat": (cohere_answer, lambda body: fenced_text(body["messages"][1]["content"])),
    "/analyze-text/jobs": (
        azure_answer,
        lambda body: body["analysisInput"]["documents"][0]["text"],
    ),
    "/small/summarization": (lambda summary: {"summary_text": summary}, lambda body: body["text"]),
    "/summarization/v2": (clova_answer, lambda body: body["texts"][0]),
    "/summarization-1.0": (meaningcloud_answer, lambda body: body["txt"]),
}

# What a summarizer needs to reach the server, by vendor.
NEEDS_MODEL = ("openai", "anthropic", "cohere", "nlpcloud")
VENDORS = (*NEEDS_MODEL, "azure", "clova", "meaningcloud")


def vendor_settings(vendor, server, **settings):
    """Parameters of a summarizer for a vendor on this server, with short waits."""
    path = "/v1" if vendor == "openai" else ""
    defaults = {
        "backend": vendor,
        "model": "small" if vendor in NEEDS_MODEL else None,
        "base_url": server.url + path,
        "api_key_env": planted_key,
        "backoff": 0.01,
        "max_sentences": 1,
        "request_options": {"polling_interval": 0} if vendor == "azure" else None,
    }
    return defaults | settings


def planted_key():
    return KEY
