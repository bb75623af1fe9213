/*
 * Carom: keeps the click id that brought a visitor and reports what they buy.
 *
 *   <script src="https://go.brand.example/_/carom.js"></script>
 *   <script>carom.convert({ event: "sale", txid: "1001", amount: "49.90", currency: "EUR" });</script>
 *
 * The first line belongs on every page that links lead to and on the page of the purchase; amounts are strings, so that
 * they stay exact. Attributes of the script element:
 *
 *   data-param="click_id"         the URL parameter that the campaign sends the click id in
 *   data-domain="brand.example"   shares the cookie with the subdomains of brand.example
 */
(function (attributionDays) {
  "use strict";
  var script = document.currentScript;
  var cookie = "carom_click_id";
  var clickId = read();
  var landed = new URLSearchParams(location.search).get(script.dataset.param || "click_id");
  if (/^[A-Za-z0-9_-]{22}$/.test(landed)) {
    clickId = landed;
    keep(landed);
  }

  function read() {
    var found = document.cookie.match("(?:^|; )" + cookie + "=([A-Za-z0-9_-]{22})(?:;|$)");
    return found ? found[1] : "";
  }

  function keep(id) {
    document.cookie = cookie + "=" + id + "; path=/; samesite=lax; max-age=" + attributionDays * 86400 +
      (script.dataset.domain ? "; domain=" + script.dataset.domain : "") +
      (location.protocol === "https:" ? "; secure" : "");
  }

  window.carom = {
    /* The kept click id, or "": for a form field, so that the shop's server can send a signed postback. */
    clickId: function () {
      return clickId;
    },

    /*
     * Reports a conversion. The fields are those of a postback; click_id is added unless the shop's server has signed
     * them (sig). Returns false, and sends nothing, where neither a click id nor a coupon says who has earned it.
     */
    convert: function (conversion) {
      var query = new URLSearchParams();
      if (clickId && !conversion.sig) {
        query.set("click_id", clickId);
      }
      Object.keys(conversion).forEach(function (name) {
        if (conversion[name] !== undefined && conversion[name] !== null) {
          query.set(name, conversion[name]);
        }
      });
      if (!query.has("click_id") && !query.has("coupon")) {
        return false;
      }
      new Image().src = new URL("/_/pixel.gif?" + query, script.src).href;
      return true;
    }
  };
})
