"""Thin routes: parse, call a plain function, answer."""
