/** Tests that take minutes run smaller in `npm test`, and in their full size in `npm run test:soak`. */
export const FULL_SIZE = process.env['MILLRACE_FULL_SIZE'] !== undefined
