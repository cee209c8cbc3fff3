"""Rollout server: a small OpenAI-compatible HTTP server around a model, with vLLM's two calls for adapters."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

import torch

from assay.lm import Sampling, load, load_adapter
from assay.lm.generation import _Rows


class Served:
    """What is served and what was asked; `spoil` changes a reply, `breaks_off` cuts it short."""

    def __init__(self, source):
        self.source, self.lock, self.asked, self.keys = str(source), Lock(), [], set()
        self.models = {"tiny": load(self.source, dtype=torch.float32)}
        self.tells_ids, self.tells_logprobs, self.takes_adapters = True, True, True
        self.spoil, self.breaks_off = lambda reply: reply, False

    def load_lora_adapter(self, body):
        if not self.takes_adapters:
            return 404, {"detail": "Not Found"}
        lm = load(self.source, dtype=torch.float32)
        load_adapter(lm, Path(body["lora_path"]))
        self.models[body["lora_name"]] = lm
        return 200, {}

    def unload_lora_adapter(self, body):
        return (200, {}) if self.models.pop(body["lora_name"], None) else (404, {})

    def completions(self, body):
        if body["model"] not in self.models:
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
        lm = self.models[body["model"]]
        sampling = Sampling(max_tokens=body["max_tokens"], temperature=body["temperature"], seed=body["seed"])
        rows = _Rows(lm, [body["prompt"]], sampling, body["n"])
        for _ in rows.steps(torch.Generator().manual_seed(body["seed"])):
            pass
        choices = []
        for index, one in enumerate(rows.completions()):
            choice = {"index": index, "text": one.text, "finish_reason": one.finish_reason}
            if self.tells_ids and body.get("return_token_ids"):
                choice["token_ids"] = list(one.token_ids)
            if self.tells_logprobs:
                choice["logprobs"] = {"token_logprobs": list(one.logprobs)}
            choices.insert(0, choice)  # servers promise no order
        return 200, self.spoil({"choices": choices})


@contextmanager
def serving(source):
    """A server of the model in `source` for the block: what is served, and the address of its API."""
    served = Served(source)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = self.path.removeprefix("/v1/")
            with served.lock:
                served.asked.append((name, body))
                served.keys.add(self.headers.get("Authorization"))
                status, reply = getattr(served, name)(body)
            data = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if served.breaks_off else data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield served, f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
