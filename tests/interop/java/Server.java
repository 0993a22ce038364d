import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Map;
import javax.jws.WebMethod;
import javax.jws.WebService;
import javax.xml.ws.Endpoint;
import com.microsoft.schemas._2003._10.serialization.arrays.ArrayOfstring;
import org.datacontract.schemas._2004._07.octopusservice.*;
import org.tempuri.IOctopusService;

/** JAX-WS RI as a service. Usage: java Server SCRIPT.json PORT. */
@WebService(
    endpointInterface = "org.tempuri.IOctopusService",
    serviceName = "OctopusService",
    portName = "BasicHttpBinding_IOctopusService",
    targetNamespace = "http://tempuri.org/")
public final class Server implements IOctopusService {
    private final Map<?, ?> script;

    Server(Map<?, ?> script) {
        this.script = script;
    }

    public static void main(String[] arguments) throws Exception {
        Map<?, ?> script = (Map<?, ?>) Bean.parse(Files.readString(Path.of(arguments[0])));
        Endpoint.publish("http://127.0.0.1:" + arguments[1] + "/OctopusService.svc", new Server(script));
    }

    private <T> T reply(String operation, Class<T> type, Object... given) {
        try {
            Map<String, Object> parameters = new LinkedHashMap<>();
            for (Method method : IOctopusService.class.getMethods()) {
                if (!method.getAnnotation(WebMethod.class).operationName().equals(operation)) continue;
                for (int i = 0; i < given.length; i++) {
                    parameters.put(Client.name(method.getParameterAnnotations()[i]), Bean.plain(given[i]));
                }
            }
            String line = Bean.json(Map.of("operation", operation, "parameters", parameters)) + "\n";
            synchronized (this) {
                Path received = Path.of((String) script.get("received"));
                Files.writeString(received, line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            }
            return type == null ? null : type.cast(Bean.typed(type, ((Map<?, ?>) script.get("answers")).get(operation)));
        } catch (Exception error) {
            throw new IllegalStateException(operation + ": " + error, error);
        }
    }

    public Integer deleteItemStore(String accountID, Integer sellerID, String sku, Integer productID, Integer status, ArrayOfStoreStockInfo storStock) {
        return reply("DeleteItemStore", Integer.class, accountID, sellerID, sku, productID, status, storStock);
    }

    public Integer deleteItem(String accountID, Integer sellerID, String sku, Integer productID, Integer status) {
        return reply("DeleteItem", Integer.class, accountID, sellerID, sku, productID, status);
    }

    public Integer deleteTblItem(String accountID, String sku) {
        return reply("DeleteTblItem", Integer.class, accountID, sku);
    }

    public Boolean isSkuExist(String accountID, String sku) {
        return reply("IsSkuExist", Boolean.class, accountID, sku);
    }

    public APIResultOfArrayOfIsSkuExistResponseCdKGXJBo isSkuExistList(String accountID, ArrayOfstring skuList) {
        return reply("IsSkuExistList", APIResultOfArrayOfIsSkuExistResponseCdKGXJBo.class, accountID, skuList);
    }

    public APIResultOfArrayOfInventoryItemCdKGXJBo getItemTblList(String accountID) {
        return reply("GetItemTblList", APIResultOfArrayOfInventoryItemCdKGXJBo.class, accountID);
    }

    public APIResultOfArrayOfInventoryItemCdKGXJBo getItemList(String accountID, ArrayOfstring skuList) {
        return reply("GetItemList", APIResultOfArrayOfInventoryItemCdKGXJBo.class, accountID, skuList);
    }

    public APIResultOfint getItemQuantity(String accountID, String sku) {
        return reply("GetItemQuantity", APIResultOfint.class, accountID, sku);
    }

    public APIResultOfQuantityInfoResponseCdKGXJBo getItemQuantityInfo(String accountID, String sku) {
        return reply("GetItemQuantityInfo", APIResultOfQuantityInfoResponseCdKGXJBo.class, accountID, sku);
    }

    public APIResultOfArrayOfQuantityInfoResponseCdKGXJBo getItemQuantityList(String accountID, ArrayOfstring skuList) {
        return reply("GetItemQuantityList", APIResultOfArrayOfQuantityInfoResponseCdKGXJBo.class, accountID, skuList);
    }

    public APIResultOfboolean updateItemQuantityAndPrice(String accountID, ItemQuantityAndPrice iQP) {
        return reply("UpdateItemQuantityAndPrice", APIResultOfboolean.class, accountID, iQP);
    }

    public APIResultOfArrayOfUpdateInventoryItemResponseCdKGXJBo updateItemQuantityAndPriceList(String accountID, ArrayOfItemQuantityAndPrice itemQuantityAndPriceList) {
        return reply("UpdateItemQuantityAndPriceList", APIResultOfArrayOfUpdateInventoryItemResponseCdKGXJBo.class, accountID, itemQuantityAndPriceList);
    }

    public APIResultOfArrayOfUpdateItemResponseCdKGXJBo uploadItemList(String accountID, ArrayOfInventoryItem inventoryItems) {
        return reply("UploadItemList", APIResultOfArrayOfUpdateItemResponseCdKGXJBo.class, accountID, inventoryItems);
    }

    public Long uploadItem(String accountID, InventoryItem inventoryItem) {
        return reply("UploadItem", Long.class, accountID, inventoryItem);
    }

    public void setDownloadOrderConfirm(String accountID, ArrayOfOrderDownloadSubmitRequest orderDownloadSubmitRequests) {
        reply("SetDownloadOrderConfirm", null, accountID, orderDownloadSubmitRequests);
    }

    public void setDownloadSplitOrderConfirm(String accountID, ArrayOfOrderDownloadSubmitRequest orderDownloadSubmitRequests) {
        reply("SetDownloadSplitOrderConfirm", null, accountID, orderDownloadSubmitRequests);
    }

    public APIResultOfArrayOfOrderResponseItemCdKGXJBo getOrderList(String accountID, OrderCriteria orderCriteria) {
        return reply("GetOrderList", APIResultOfArrayOfOrderResponseItemCdKGXJBo.class, accountID, orderCriteria);
    }

    public APIResultOfArrayOfOrderResponseItemCdKGXJBo getOrderListStore(String accountID, OrderCriteria orderCriteria, String storeIDs) {
        return reply("GetOrderListStore", APIResultOfArrayOfOrderResponseItemCdKGXJBo.class, accountID, orderCriteria, storeIDs);
    }

    public APIResultOfSubmitOrderResponseItemCdKGXJBo submitOrder(String accountID, OrderSubmit orderSubmit) {
        return reply("SubmitOrder", APIResultOfSubmitOrderResponseItemCdKGXJBo.class, accountID, orderSubmit);
    }

    public String customFieldMapping(String accountID, ArrayOfCustomFieldMapping fieldMapping) {
        return reply("CustomFieldMapping", String.class, accountID, fieldMapping);
    }
}
