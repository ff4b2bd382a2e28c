/** The types of connections. */

export const CONNECTION_TYPES = ['duckdb', 'motherduck', 'ducklake', 'quack'] as const
export type ConnectionType = (typeof CONNECTION_TYPES)[number]
