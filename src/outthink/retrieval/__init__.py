"""What strategies retrieve: objects that a user binds to the role "retriever". No strategy imports this package."""
