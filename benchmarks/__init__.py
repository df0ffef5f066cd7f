"""Measurements of a running broker: CPU of its process per delivered message, beside other brokers on the same
machine.
"""
