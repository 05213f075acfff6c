// In the place of hono/logger.
export const logger = () => (_context, next) => next()
