"""What trains: torch, and transformers' model code. Imported by the training and merging processes alone.

loop           the narrative: step after step, until it is learned
ahead          the steps in order, their batches made ready while the step before is computed
ladder         smaller pieces, when memory runs out
ranks          several GPUs share a step
pace           how fast it goes, how long still, whether it is learning at all
saving         checkpoints in folders

model          the model under training: load, loss, replies, files
loading        from a folder to a base that packed examples can be learned by
precision      bf16 or fp32
adapter        LoRA's layers, and its files
packed         examples laid end to end: what a forward pass is given
attention      none of them sees another
cross_entropy  the loss of each token, without holding all logits
greedy         what it answers

objectives     what is made small
scoring        how likely texts are, without learning from them
benchmark      figures and replies: before, during and after
results        what comes of it: weights, facts, losses, samples
speed_limits   how fast it could be at best
"""
