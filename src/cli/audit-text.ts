/** What `audit` prints for people. Pure. */
import type { AuditOutcome, AuditReport } from '../payloads.ts'
import { seconds } from './report-text.ts'
import { alignColumns } from './text-table.ts'

const MARKS: Record<AuditOutcome['status'], string> = { pass: 'ok', warn: 'warn', fail: 'FAIL' }

/** One line per audit, then how many of each there are. */
export function auditText({ environment, audits, missing }: AuditReport): string {
  const rows = alignColumns(
    audits.map((audit) => [MARKS[audit.status], audit.model, callText(audit), seconds(audit.durationMs), found(audit)]),
  )
  const count = (status: AuditOutcome['status']): number => audits.filter((audit) => audit.status === status).length
  const counts = [`${count('pass')} passed`, `${count('warn')} warned`, `${count('fail')} failed`].join(', ')
  const absent = missing.length === 0 ? [] : [`Not in ${environment} yet: ${missing.join(', ')}`]
  return [...rows, ...(rows.length > 0 ? [''] : []), ...absent, `Audits of ${environment}: ${counts}`].join('\n')
}

function callText({ model, name, args }: AuditOutcome): string {
  const given = Object.entries(args).map(([key, value]) => `${key} := ${value.replaceAll(/\s+/g, ' ')}`)
  return model === name ? 'standalone' : `${name}(${given.join(', ')})`
}

function found({ failures, message }: AuditOutcome): string {
  if (message !== null) return `could not run: ${message.split('\n')[0] ?? ''}`
  return failures === 0 ? '' : `${failures.toLocaleString('en-US')} bad row${failures === 1 ? '' : 's'}`
}
