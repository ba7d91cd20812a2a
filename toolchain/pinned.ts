/** Connections to a server with a pinned certificate. */
import { Agent, buildConnector } from "undici";

/**
 * For `fetch` and OpenAI's client: connects only to a server with this certificate, regardless of its issuer
 * and names.
 *
 * @param fingerprint SHA-256, as in the stack output `certificateFingerprint`. Undefined: the system's trust
 * store.
 */
export function dispatcherFor(fingerprint: string | undefined): { readonly dispatcher?: Agent } {
  if (fingerprint === undefined) return {};
  // A resumed session shows no certificate.
  const connect = buildConnector({ rejectUnauthorized: false, maxCachedSessions: 0 });
  return {
    dispatcher: new Agent({
      connect: (options, done) =>
        connect(options, (error, socket) => {
          if (error !== null) return done(error, null);
          const shown = "getPeerCertificate" in socket ? socket.getPeerCertificate().fingerprint256 : "none";
          if (shown === fingerprint) return done(null, socket);
          socket.destroy();
          done(
            new Error(
              `${options.hostname} shows another certificate (SHA-256 ${shown}) than this deployment's`,
            ),
            null,
          );
        }),
    }),
  };
}
