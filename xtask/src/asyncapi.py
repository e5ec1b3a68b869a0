# Says what in a document the official JSON Schema of AsyncAPI does not allow: one line each, nothing if all is well.
import json
import sys

from jsonschema import Draft7Validator
from jsonschema.exceptions import relevance

schema, document = (json.load(open(path)) for path in sys.argv[1:3])
for error in sorted(Draft7Validator(schema).iter_errors(document), key=relevance):
    # The deepest cause names the place; the errors above it only say that something below is wrong.
    while error.context:
        error = max(error.context, key=lambda cause: len(cause.absolute_path))
    print("/".join(str(part) for part in error.absolute_path) + ": " + error.message[:300])
