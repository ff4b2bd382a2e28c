import { MillraceError } from '../../errors.ts'
import type { AuditResult } from '../../payloads.ts'
import type { Kept, SavedRows } from './kept-failures.ts'

export interface AuditFailure {
  file: string
  line: number
  /** Every audit up to the one that failed. */
  audits: AuditResult[]
  /** Its rows, where they are to be kept. */
  rows: SavedRows | Kept | null
}

/** A blocking audit found rows: the transaction is rolled back, nobody sees them. */
export class AuditFailed extends MillraceError {
  readonly failure: AuditFailure

  constructor(message: string, failure: AuditFailure) {
    super('AUDIT_FAILED', `${message}${whereRowsAre(failure.rows)}`, { file: failure.file, line: failure.line })
    this.name = 'AuditFailed'
    this.failure = failure
  }

  get audits(): AuditResult[] {
    return this.failure.audits
  }

  /** The same, told what has become of its rows. */
  keptRows(kept: Kept): AuditFailed {
    const audits = this.audits.map((audit, index) =>
      index === this.audits.length - 1 && 'table' in kept ? { ...audit, table: kept.table } : audit,
    )
    return new AuditFailed(this.message, { ...this.failure, audits, rows: kept })
  }
}

function whereRowsAre(rows: AuditFailure['rows']): string {
  if (rows === null || 'file' in rows) return ''
  return 'table' in rows ? `; the rows are in ${rows.table}` : `; the rows are not kept: ${rows.reason}`
}
