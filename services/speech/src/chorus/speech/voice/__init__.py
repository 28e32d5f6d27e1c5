"""From a request to sound or words, without knowing which engine makes them.

ports       what is needed of engines
tasks       what an engine's process is told, and tells: one message a line
recordings  what people hand over, from where it lies to samples
addresses   which addresses recordings are fetched from: pure
sniffing    what kind of file something is, by how it begins: pure
sound       samples, and whether there is anything in them: pure
mouths      engines that speak, and how they are set up
ears        engines that hear, and how they are set up
languages   their names, and which one of an engine's will do: pure
pieces      long recordings in overlapping pieces, joined without doubled words: pure
breaker     what has just failed is left out for a while: pure
casting     which voice speaks: pure
sentences   a long text in sentences: pure
text        what of a message is worth saying aloud: pure
checks      whose recording, and how large: pure
turns       one after another, and no guild more than its share
"""
