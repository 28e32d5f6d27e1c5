"""Engines, and what they need of the machine.

mouths     opens one engine that speaks, of:
espeak     the library of espeak-ng
flite      the program, where it is installed
piper      voices that the operator brings
gtts       Google's, over the network
network    what engines over the network share
opus       samples → OGG Opus for Discord
phrases    what has been spoken before
speaking   an engine that speaks, in processes
speakers   those engines, one after another, and what they have said before
ears       opens one engine that hears, of:
sphinx     PocketSphinx and its English model
google     Google's recogniser, over the network
whisper    faster-whisper, with a model that the operator brings
vosk       Vosk, with a model that the operator brings
installed  packages and models that operators bring
listening  an engine that hears, in processes
listeners  those engines, one after another
cdn        recordings from Discord's CDN, by their address
audio      files of any common format ↔ samples
decoding   the same for what strangers send, in a process that is for one file
chain      what the first cannot do now, the next one does
process    an engine in a process of its own, behind `voice.ports`
pool       one engine in several of them
"""
