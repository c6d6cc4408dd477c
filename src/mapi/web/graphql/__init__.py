"""The GraphQL API: the contract (schema.graphql), and how a request becomes an answer."""
