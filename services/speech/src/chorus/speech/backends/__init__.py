"""Engines, and what they need of the machine.

espeak    speaks, with the library of espeak-ng
sphinx    hears, with PocketSphinx and its English model
audio     files of any common format ↔ samples
process   an engine in a process of its own, behind `voice.ports`
"""
