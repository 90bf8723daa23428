"""SIP: messages, transactions, dialogs, calls, transfers."""
