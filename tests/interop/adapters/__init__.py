"""One module for each client library; each holds one :class:`~tests.interop.adapter.Adapter`."""
