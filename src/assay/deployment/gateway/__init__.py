"""Gateway: takes requests in OpenAI's form, yields checked replies of the release that each person is to get.

Read in this order: `protocol` (what an engine must do), `schema` (requests), `routing` (which release answers, and what
steps in when it fails), `serving` (one request from prompt to reply), `streaming` (text goes out once it is checked),
`replies` and `errors` (OpenAI's form), `metrics`, `app` (the HTTP surface). `engine` is the only file that needs torch
and is imported by its module.
"""

from assay.deployment.gateway.app import create_gateway_app
from assay.deployment.gateway.protocol import Answer, Ask, Engine, Engines

__all__ = ["Answer", "Ask", "Engine", "Engines", "create_gateway_app"]
