// What failed, and what the reader or the owner of the page can do about it.

/** @typedef {{ title: string, advice: string, details: string }} Problem */

/** @param {Error & { code?: string }} error @returns {Problem} */
export function describeProblem(error) {
  const details = error.code === undefined ? error.message : `${error.code}: ${error.message}`
  if (!navigator.onLine)
    return {
      title: 'You are offline',
      advice: 'The index is read piece by piece as you search. Connect to the network, then try again.',
      details
    }
  switch (error.code) {
    case 'ZGQ_UNSUPPORTED':
      return {
        title: 'The server does not answer as this page needs it',
        advice:
          'It must answer range requests with 206 and without compression. To see the page with one that does: npx zgq serve site',
        details
      }
    case 'ZGQ_NOT_FOUND':
      return {
        title: 'The index is not there',
        advice: 'Upload the .zgqp file beside the page, or make it with node examples/website/build.mjs.',
        details
      }
    case 'ZGQ_CORRUPT':
    case 'ZGQ_TRUNCATED':
    case 'ZGQ_NOT_AN_INDEX':
      return {
        title: 'The index is damaged',
        advice: 'What came does not fit its checksums. Upload the .zgqp file anew, as a binary file.',
        details
      }
    case 'ZGQ_IO':
      return {
        title: 'The index could not be read',
        advice:
          'The connection failed, or the server does not let this page read (CORS), if the index is on another one.',
        details
      }
    default:
      return { title: 'The search failed', advice: 'Try again; if it fails again, reload the page.', details }
  }
}
