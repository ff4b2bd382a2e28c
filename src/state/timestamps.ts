/** Times between the program (epoch ms) and DuckDB's TIMESTAMP (UTC, no zone). */

/** `2024-01-01 00:00:00.000`, as DuckDB casts it to TIMESTAMP. */
export function toTimestamp(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').replace('Z', '')
}
