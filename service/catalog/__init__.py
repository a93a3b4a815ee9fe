"""The models, routes and prices that Lightmeter offers: one YAML file per model, and the loader that checks
them.

Here lives everything that changes when a provider changes a price, a limit or an endpoint. Nothing here
decides anything: the rules are in `service.domain` (catalog, price, honour, shape). Only `app` comes in,
once, at start; a catalog that is wrong in any place keeps the service from starting, with every fault named
by file and path.
"""
