"""The phone line: how calls come in, and what can be done with them."""
