// A request's body in pieces, as long as it is not too large.
export async function readBody(
  request: Request,
  bytesMax: number,
): Promise<Uint8Array[] | 'too large'> {
  if (request.body === null) return []
  const declared = Number(request.headers.get('content-length') ?? 0)
  if (declared > bytesMax) {
    await request.body.cancel()
    return 'too large'
  }
  const pieces: Uint8Array[] = []
  let size = 0
  const reader = request.body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return pieces
    size += value.length
    if (size > bytesMax) {
      await reader.cancel()
      return 'too large'
    }
    pieces.push(value)
  }
}
