import { expect, test } from 'vitest'
import { parseExpiry } from '../../../src/connections/credentials/expiry.ts'

const INSTANT_MS = Date.UTC(2027, 0, 31, 12, 30, 15)

test.each([
  '2027-01-31T12:30:15Z',
  '2027-01-31T12:30:15.000Z',
  '2027-01-31T14:30:15+02:00',
  '2027-01-31T14:30:15+0200',
  '2027-01-31 14:30:15+02',
  '2027-01-31 12:30:15 UTC',
  '2027-01-31T12:30:15',
  String(INSTANT_MS / 1000),
  INSTANT_MS / 1000,
])('reads %s', (written) => {
  expect(parseExpiry(written)).toBe(INSTANT_MS)
})

test.each(['', 'soon', '31.01.2027', '2027-01-31', '2027-13-31T00:00:00Z', INSTANT_MS, String(INSTANT_MS), -1])(
  'does not guess at %s',
  (written) => {
    expect(parseExpiry(written)).toBeNull()
  },
)
