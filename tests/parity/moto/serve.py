"""A DynamoDB in memory, moto's, at 127.0.0.1 on the port that is given."""

import sys
from threading import Lock

from moto.dynamodb.comparisons import FuncSize
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple


size = FuncSize.expr


def size_or_nothing(function, item):
    """In DynamoDB a condition on the size of what is not there does not hold; moto 5.2.5 breaks off with a 500.
    https://github.com/scylladb/scylladb/issues/14592 tells what DynamoDB does with a size that there is not."""
    return None if function.attr.get_type(item) is None else size(function, item)


FuncSize.expr = size_or_nothing


class OneAtATime:
    """Requests one after the other: moto checks a condition and writes in two steps, and nothing in it holds the two
    together. In DynamoDB they are one."""

    def __init__(self, application):
        self.application = application
        self.lock = Lock()

    def __call__(self, environ, start_response):
        with self.lock:
            return list(self.application(environ, start_response))


class Handler(MotoRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, as DynamoDB keeps them
    disable_nagle_algorithm = True

    def log_request(self, *_):
        pass


run_simple(
    "127.0.0.1",
    int(sys.argv[1]),
    OneAtATime(DomainDispatcherApplication(create_backend_app)),
    threaded=True,
    request_handler=Handler,
)
