"""How the models are made: corpora, augmentation, fitting, evaluation, export."""
