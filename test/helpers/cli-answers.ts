/** What commands answer with `--json`. */
import type { CliResult } from './cli.ts'

export interface ErrorDocument {
  error: { code: string; message: string; file: string | null; line: number | null; hint: string | null }
}

export function json({ stdout }: CliResult): unknown {
  return JSON.parse(stdout)
}

export function errorOf(result: CliResult): ErrorDocument['error'] {
  return (json(result) as ErrorDocument).error
}
