import { MillraceError } from '../../errors.ts'
import type { AuditResult } from '../../payloads.ts'

/** A blocking audit found rows: the transaction is rolled back, nobody sees them. */
export class AuditFailed extends MillraceError {
  /** Every audit up to the one that failed. */
  readonly audits: AuditResult[]

  constructor(message: string, details: { file: string; line: number; audits: AuditResult[] }) {
    super('AUDIT_FAILED', message, { file: details.file, line: details.line })
    this.name = 'AuditFailed'
    this.audits = details.audits
  }
}
