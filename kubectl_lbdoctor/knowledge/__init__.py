"""What is known about the controller, its annotations and AWS: facts and pure decoders, standard library only."""
